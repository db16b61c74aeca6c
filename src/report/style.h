/*-------------------------------------------------------------------------
 *
 * style.h
 *	  How the HTML page looks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_STYLE_H
#define MIG_REPORT_STYLE_H

/* the content of its <style> */
extern const char mig_report_style[];

#endif							/* MIG_REPORT_STYLE_H */
