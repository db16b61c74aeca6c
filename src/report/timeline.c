/*-------------------------------------------------------------------------
 *
 * timeline.c
 *	  The locks of a rehearsal over time, as a picture.
 *
 * Time goes from left to right, migration after migration.  Each migration has
 * a head, and below it a lane for each lock, with a bar from the statement that
 * takes the lock to the end of the migration, which is when apply_each() gives
 * it up, and with words that say what it is.  The more a lock is in the way,
 * the higher the bar, and the further up.
 *
 * All positions along the axis are percentages, so the picture is as wide as
 * there is room and its letters stay as large as those around it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "report/escape.h"
#include "report/text.h"
#include "report/timeline.h"

/* heads and lanes in the picture, and lanes of one migration */
#define MAX_LANES		250
#define MAX_STEP_LANES	40

/* in pixels */
#define HEAD_HEIGHT		30
#define LANE_HEIGHT		38
#define LANE_TRACK		20		/* of the lane, below its text */
#define TIMES_HEIGHT	24

static const int bar_heights[] = {4, 7, 10, 14};

static const char *const effects[] = {
	"hardly anything waits",
	"other migrations and VACUUM wait",
	"writes wait",
	"reads and writes wait"
};

/* a lock from the statement that takes it to the end of its migration */
typedef struct Bar
{
	const MigReportLock *lock;
	const MigReportStatement *statement;
	double		start;			/* since the rehearsal began */
	double		end;
	int			strength;
} Bar;

/* a migration and its bars, the strongest first */
typedef struct Band
{
	const MigReportStep *step;
	List	   *bars;			/* of Bar * */
	int			shown;			/* how many of these are drawn */
} Band;

typedef struct Picture
{
	StringInfo	buf;
	const MigReport *report;
	List	   *bands;			/* of Band * */
	int			lanes;
	int			left_out;		/* bars that have no room */
	double		total;			/* milliseconds that are 100% */
} Picture;

/* the strongest first; of one strength the one that is held longest */
static int
compare_bars(const ListCell *a, const ListCell *b)
{
	const Bar  *x = (const Bar *) lfirst(a);
	const Bar  *y = (const Bar *) lfirst(b);

	if (x->strength != y->strength)
		return y->strength - x->strength;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return strcmp(x->lock->relation, y->lock->relation);
}

/*
 * Locks on indexes are left out: the statement locks their tables as well.
 */
static void
add_bars(Band *band, const MigReportStatement *statement)
{
	int			i;

	for (i = 0; i < statement->nlocks; i++)
	{
		const MigReportLock *lock = &statement->locks[i];
		Bar		   *bar;

		if (strcmp(lock->kind, "index") == 0)
			continue;
		bar = palloc(sizeof(Bar));
		bar->lock = lock;
		bar->statement = statement;
		bar->start = band->step->start_ms + statement->start_ms;
		bar->end = band->step->start_ms + band->step->execution_ms;
		bar->strength = mig_report_strength(lock);
		band->bars = lappend(band->bars, bar);
	}
}

/*
 * Migrations without a statement have no band; more bars than fit are only
 * counted.
 */
static void
collect_bars(Picture *picture)
{
	const MigReport *report = picture->report;
	int			i;
	int			j;

	for (i = 0; i < report->nsteps; i++)
	{
		Band	   *band = palloc0(sizeof(Band));

		band->step = &report->steps[i];
		for (j = 0; j < band->step->nstatements; j++)
			add_bars(band, &band->step->statements[j]);
		if (band->step->nstatements == 0)
			continue;
		list_sort(band->bars, compare_bars);
		band->shown = Min(list_length(band->bars), MAX_STEP_LANES);
		band->shown = Min(band->shown, Max(MAX_LANES - picture->lanes - 1, 0));
		picture->left_out += list_length(band->bars) - band->shown;
		if (picture->lanes >= MAX_LANES && band->step->failed == NULL)
			continue;
		picture->lanes += band->shown + 1;
		picture->bands = lappend(picture->bands, band);
	}
}

static void
append_percent(Picture *picture, const char *attribute, double ms)
{
	appendStringInfo(picture->buf, " %s=\"%.3f%%\"", attribute,
					 100 * ms / picture->total);
}

static int
band_height(const Band *band)
{
	return HEAD_HEIGHT + band->shown * LANE_HEIGHT + 4;
}

/* the time of the migration as a shade, and its version, name and duration */
static void
append_head(Picture *picture, const Band *band, int y)
{
	StringInfo	buf = picture->buf;
	const MigReportStep *step = band->step;

	appendStringInfo(buf, "<line class=\"rule\" x1=\"0\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>"
					 "<rect class=\"even\" y=\"%d\" height=\"%d\"", y, y, y + 1,
					 band_height(band) - 1);
	append_percent(picture, "x", step->start_ms);
	append_percent(picture, "width", step->execution_ms);
	appendStringInfo(buf, "/>\n<text class=\"version\" x=\"4\" y=\"%d\">",
					 y + 20);
	mig_report_escape_attribute(buf, step->version);
	appendStringInfoChar(buf, ' ');
	if (step->name != NULL)
		mig_report_escape_attribute(buf, pnstrdup(step->name,
												  pg_mbcliplen(step->name,
															   strlen(step->name), 60)));
	appendStringInfo(buf, "<tspan class=\"held\" dx=\"6\">%s%s</tspan></text>\n",
					 step->skipped >= step->nstatements ? "not run" :
					 mig_report_text_ms(step->execution_ms),
					 step->failed != NULL ? ", then it fails" : "");
}

/* where statements begin */
static void
append_statements(Picture *picture, const Band *band, int y)
{
	StringInfo	buf = picture->buf;
	int			i;

	for (i = 0; i < band->step->nstatements; i++)
	{
		const MigReportStatement *statement = &band->step->statements[i];
		double		start = band->step->start_ms + statement->start_ms;

		if (statement->execution_ms <= 0)
			continue;
		appendStringInfo(buf, "<line class=\"tick\" y1=\"%d\" y2=\"%d\"",
						 y + HEAD_HEIGHT - 4, y + band_height(band));
		append_percent(picture, "x1", start);
		append_percent(picture, "x2", start);
		appendStringInfoString(buf, "/>\n");
	}
}

/* y is the top of its lane; the stronger the lock the higher the bar */
static void
append_bar(Picture *picture, const Band *band, const Bar *bar, int y)
{
	StringInfo	buf = picture->buf;
	int			height = bar_heights[bar->strength];

	appendStringInfo(buf, "<rect class=\"bar s%d\" rx=\"2\" y=\"%d\" height=\"%d\"",
					 bar->strength, y + LANE_TRACK + (14 - height) / 2, height);
	append_percent(picture, "x", bar->start);
	append_percent(picture, "width", bar->end - bar->start);
	appendStringInfo(buf, "><title>%s on ", bar->lock->mode);
	mig_report_escape_attribute(buf, bar->lock->relation);
	appendStringInfoString(buf, ", migration ");
	mig_report_escape_attribute(buf, band->step->version);
	appendStringInfo(buf, ", from line %d on: %s</title></rect>\n",
					 bar->statement->line,
					 mig_report_text_ms(bar->end - bar->start));
}

/* what the bar is: near it, if it begins late */
static void
append_label(Picture *picture, const Bar *bar, int y)
{
	StringInfo	buf = picture->buf;
	bool		late = bar->start > picture->total / 2;

	appendStringInfo(buf, "<text class=\"mode\" %s y=\"%d\">%s on <tspan class=\"relation\">",
					 late ? "x=\"100%\" dx=\"-4\" text-anchor=\"end\"" : "x=\"4\"",
					 y + 14, bar->lock->mode);
	mig_report_escape_attribute(buf, bar->lock->relation);
	appendStringInfo(buf, "</tspan><tspan class=\"held\" dx=\"6\">line %d &#183; %s &#183; %s</tspan></text>\n",
					 bar->statement->line,
					 mig_report_text_ms(bar->end - bar->start),
					 effects[bar->strength]);
}

/* the head of a migration and its bars, from y on */
static void
append_band(Picture *picture, const Band *band, int y)
{
	int			i;

	append_head(picture, band, y);
	append_statements(picture, band, y);
	y += HEAD_HEIGHT;
	for (i = 0; i < band->shown; i++)
	{
		const Bar  *bar = list_nth(band->bars, i);

		append_bar(picture, band, bar, y);
		append_label(picture, bar, y);
		y += LANE_HEIGHT;
	}
}

/* the beginning, the middle and the end */
static void
append_times(Picture *picture, int height)
{
	static const char *const anchors[] = {"start", "middle", "end"};
	int			i;

	for (i = 0; i < lengthof(anchors); i++)
		appendStringInfo(picture->buf, "<text class=\"time\" x=\"%d%%\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
						 50 * i, height - 6, anchors[i],
						 i == 0 ? "0" :
						 mig_report_text_ms(picture->total * i / 2));
}

/* strongest first */
static void
append_legend(StringInfo buf)
{
	int			i;

	appendStringInfoString(buf, "<ul class=\"legend\">\n");
	for (i = lengthof(effects) - 1; i >= 0; i--)
		appendStringInfo(buf, "<li><svg width=\"22\" height=\"14\" aria-hidden=\"true\"><rect class=\"bar s%d\" rx=\"2\" y=\"%d\" width=\"22\" height=\"%d\"/></svg> %s</li>\n",
						 i, (14 - bar_heights[i]) / 2, bar_heights[i],
						 effects[i]);
	appendStringInfoString(buf, "</ul>\n");
}

/* what the picture cannot show */
static void
append_remarks(StringInfo buf, const MigReport *report)
{
	int			skipped = 0;
	int			i;

	for (i = 0; i < report->nsteps; i++)
	{
		const MigReportStep *step = &report->steps[i];

		skipped += step->skipped;
		if (step->failed == NULL)
			continue;
		appendStringInfo(buf, "<p class=\"small\"><b class=\"error\">&#10006; <a class=\"error\" href=\"#m%d\">",
						 step->step);
		mig_report_escape_text(buf, step->version);
		appendStringInfo(buf, "</a> fails</b> in line %d, after %s: ",
						 step->failed->line,
						 mig_report_text_ms(step->execution_ms));
		mig_report_escape_text(buf, step->failed->message);
		appendStringInfoString(buf, "</p>\n");
	}
	if (skipped > 0)
		appendStringInfo(buf, "<p class=\"small\">%s not run, and %s.</p>\n",
						 mig_report_text_many(skipped, "statement was",
											  "statements were"),
						 skipped == 1 ? "has no bar" : "have no bars");
}

/* as an SVG with a fixed height and the width of the page */
static void
append_picture(Picture *picture)
{
	StringInfo	buf = picture->buf;
	int			height = TIMES_HEIGHT;
	int			y = 0;
	ListCell   *lc;

	foreach(lc, picture->bands)
		height += band_height(lfirst(lc));
	appendStringInfo(buf, "<div class=\"scroll\" tabindex=\"0\"><svg class=\"timeline\" role=\"img\" aria-label=\"Locks over time\" width=\"100%%\" height=\"%d\">\n",
					 height);
	foreach(lc, picture->bands)
	{
		append_band(picture, lfirst(lc), y);
		y += band_height(lfirst(lc));
	}
	append_times(picture, height);
	appendStringInfoString(buf, "</svg></div>\n");
	if (picture->left_out > 0)
		appendStringInfo(buf, "<p class=\"soft\">%s more</p>\n",
						 mig_report_text_many(picture->left_out, "lock",
											  "locks"));
}

void
mig_report_timeline(StringInfo buf, const MigReport *report)
{
	Picture		picture = {buf, report, NIL, 0, 0, 0};

	if (!report->rehearsed)
		return;
	picture.total = report->execution_ms;
	collect_bars(&picture);
	if (picture.bands == NIL || picture.total <= 0)
		return;
	appendStringInfoString(buf, "<section>\n<h2>Locks over time</h2>\n<div class=\"card\">\n"
						   "<p class=\"soft small\">From the statement that takes a lock to the end of its migration. "
						   "The shade is the time of the migration, a dotted line the beginning of a statement.</p>\n");
	append_legend(buf);
	append_picture(&picture);
	append_remarks(buf, report);
	appendStringInfoString(buf, "</div>\n</section>\n");
}
