/*-------------------------------------------------------------------------
 *
 * report_timeline.c
 *	  The locks of a rehearsal over time, as a picture.
 *
 * Time goes from left to right, migration after migration.  Each relation has
 * a row, and in it each lock mode a lane with a bar from the statement that
 * takes the lock to the end of its migration, which is when apply_each() gives
 * it up.  The more a lock is in the way, the higher the bar.
 *
 * All positions along the axis are percentages, so the picture is as wide as
 * there is room and its letters stay as large as those around it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report_escape.h"
#include "report_text.h"
#include "report_timeline.h"

#define MAX_RELATIONS	25

/* in pixels */
#define AXIS_HEIGHT		40
#define RELATION_HEIGHT	26
#define LANE_HEIGHT		36
#define LANE_TRACK		20		/* of the lane, below its text */
#define TIMES_HEIGHT	24

static const int bar_heights[] = {4, 7, 10, 14};

static const char *const effects[] = {
	"almost nobody waits",
	"other migrations and VACUUM wait",
	"writes wait",
	"reads and writes wait"
};

/* a lock from the statement that takes it to the end of its migration */
typedef struct Bar
{
	const MigReportLock *lock;
	const MigReportStep *step;
	const MigReportStatement *statement;
	double		start;			/* since the rehearsal began */
	double		end;
	int			strength;
} Bar;

/* the bars of one relation, the strongest first */
typedef struct Row
{
	const MigReportLock *lock;	/* the relation at its largest */
	List	   *bars;			/* of Bar * */
	int			lanes;
	int			strength;
	double		held;			/* in the strongest mode */
} Row;

typedef struct Picture
{
	StringInfo	buf;
	const MigReport *report;
	List	   *rows;			/* of Row * */
	double		total;			/* milliseconds that are 100% */
	int			height;
} Picture;

static Row *
find_row(Picture *picture, const MigReportLock *lock)
{
	ListCell   *lc;
	Row		   *row;

	foreach(lc, picture->rows)
	{
		row = (Row *) lfirst(lc);
		if (strcmp(row->lock->relation, lock->relation) == 0)
			return row;
	}
	row = palloc0(sizeof(Row));
	row->lock = lock;
	picture->rows = lappend(picture->rows, row);
	return row;
}

static void
add_lock(Picture *picture, const MigReportStep *step,
		 const MigReportStatement *statement, const MigReportLock *lock)
{
	Row		   *row = find_row(picture, lock);
	Bar		   *bar = palloc(sizeof(Bar));

	bar->lock = lock;
	bar->step = step;
	bar->statement = statement;
	bar->start = step->start_ms + statement->start_ms;
	bar->end = step->start_ms + step->execution_ms;
	bar->strength = mig_report_strength(lock);
	row->bars = lappend(row->bars, bar);
	if (lock->bytes > row->lock->bytes)
		row->lock = lock;
	if (bar->strength > row->strength)
		row->held = 0;
	row->strength = Max(row->strength, bar->strength);
	if (bar->strength == row->strength)
		row->held += bar->end - bar->start;
}

/* the strongest first; of one mode in the order of time */
static int
compare_bars(const ListCell *a, const ListCell *b)
{
	const Bar  *x = (const Bar *) lfirst(a);
	const Bar  *y = (const Bar *) lfirst(b);
	int			modes = strcmp(x->lock->mode, y->lock->mode);

	if (x->strength != y->strength)
		return y->strength - x->strength;
	if (modes != 0)
		return modes;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int
compare_rows(const ListCell *a, const ListCell *b)
{
	const Row  *x = (const Row *) lfirst(a);
	const Row  *y = (const Row *) lfirst(b);

	if (x->strength != y->strength)
		return y->strength - x->strength;
	if (x->held != y->held)
		return x->held > y->held ? -1 : 1;
	return strcmp(x->lock->relation, y->lock->relation);
}

/*
 * Indexes are locked as their tables are, or more, by who locks these: they
 * would say the same again.
 */
static void
collect(Picture *picture)
{
	const MigReport *report = picture->report;
	ListCell   *lc;
	int			i;
	int			j;
	int			k;

	for (i = 0; i < report->nsteps; i++)
	{
		const MigReportStep *step = &report->steps[i];

		for (j = 0; j < step->nstatements; j++)
		{
			const MigReportStatement *statement = &step->statements[j];

			for (k = 0; k < statement->nlocks; k++)
			{
				if (strcmp(statement->locks[k].kind, "index") != 0)
					add_lock(picture, step, statement, &statement->locks[k]);
			}
		}
	}
	foreach(lc, picture->rows)
	{
		Row		   *row = (Row *) lfirst(lc);
		const char *mode = "";
		ListCell   *lc2;

		list_sort(row->bars, compare_bars);
		foreach(lc2, row->bars)
		{
			const Bar  *bar = (const Bar *) lfirst(lc2);

			row->lanes += strcmp(bar->lock->mode, mode) != 0;
			mode = bar->lock->mode;
		}
	}
	list_sort(picture->rows, compare_rows);
}

static void
append_percent(Picture *picture, const char *attribute, double ms)
{
	appendStringInfo(picture->buf, " %s=\"%.3f%%\"", attribute,
					 100 * ms / picture->total);
}

/* the migrations, each with a shade behind it and its version above */
static void
append_migrations(Picture *picture)
{
	StringInfo	buf = picture->buf;
	const MigReport *report = picture->report;
	int			shown = 0;
	int			i;

	for (i = 0; i < report->nsteps; i++)
	{
		const MigReportStep *step = &report->steps[i];

		if (step->execution_ms <= 0)
			continue;
		appendStringInfo(buf, "<svg y=\"0\" height=\"%d\"", picture->height);
		append_percent(picture, "x", step->start_ms);
		append_percent(picture, "width", step->execution_ms);
		appendStringInfo(buf, "><rect class=\"%s\" width=\"100%%\" height=\"%d\"/><text class=\"version\" x=\"3\" y=\"15\">%s",
						 shown++ % 2 == 0 ? "even" : "odd",
						 picture->height - TIMES_HEIGHT,
						 step->failed != NULL ? "&#10006; " : "");
		mig_html_attribute(buf, step->version);
		appendStringInfoString(buf, "</text><title>");
		mig_html_attribute(buf, step->version);
		appendStringInfo(buf, ": %s%s</title></svg>\n",
						 mig_show_ms(step->execution_ms),
						 step->failed != NULL ? ", then it fails" : "");
	}
}

/* where statements begin, with their lines where there is room for a number */
static void
append_statements(Picture *picture)
{
	StringInfo	buf = picture->buf;
	const MigReport *report = picture->report;
	int			i;
	int			j;

	for (i = 0; i < report->nsteps; i++)
	{
		const MigReportStep *step = &report->steps[i];

		for (j = 0; j < step->nstatements; j++)
		{
			const MigReportStatement *statement = &step->statements[j];
			double		start = step->start_ms + statement->start_ms;

			if (statement->execution_ms <= 0)
				continue;
			appendStringInfo(buf, "<line class=\"tick\" y1=\"%d\" y2=\"%d\"",
							 AXIS_HEIGHT - 18, picture->height - TIMES_HEIGHT);
			append_percent(picture, "x1", start);
			append_percent(picture, "x2", start);
			appendStringInfoString(buf, "/>");
			if (statement->execution_ms > picture->total * 0.06 &&
				statement->line > 0)
			{
				appendStringInfo(buf, "<text class=\"line\" dx=\"3\" y=\"%d\"",
								 AXIS_HEIGHT - 7);
				append_percent(picture, "x", start);
				appendStringInfo(buf, ">%d</text>", statement->line);
			}
			appendStringInfoChar(buf, '\n');
		}
	}
}

static void
append_times(Picture *picture)
{
	static const char *const anchors[] = {"start", "middle", "end"};
	int			i;

	for (i = 0; i < lengthof(anchors); i++)
		appendStringInfo(picture->buf, "<text class=\"time\" x=\"%d%%\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
						 50 * i, picture->height - 6, anchors[i],
						 i == 0 ? "0" : mig_show_ms(picture->total * i / 2));
}

static void
append_bar(Picture *picture, const Bar *bar, int y)
{
	StringInfo	buf = picture->buf;
	int			height = bar_heights[bar->strength];

	appendStringInfo(buf, "<rect class=\"bar s%d\" rx=\"2\" y=\"%d\" height=\"%d\"",
					 bar->strength, y, height);
	append_percent(picture, "x", bar->start);
	append_percent(picture, "width", bar->end - bar->start);
	appendStringInfo(buf, "><title>%s on ", bar->lock->mode);
	mig_html_attribute(buf, bar->lock->relation);
	appendStringInfoString(buf, ", migration ");
	mig_html_attribute(buf, bar->step->version);
	appendStringInfo(buf, ", from line %d on: %s</title></rect>\n",
					 bar->statement->line, mig_show_ms(bar->end - bar->start));
}

/* the bars of one mode, from lc on; returns the first that is not */
static int
append_lane(Picture *picture, const Row *row, int first, int y)
{
	StringInfo	buf = picture->buf;
	const Bar  *bar = list_nth(row->bars, first);
	double		held = 0;
	int			i;

	for (i = first; i < list_length(row->bars); i++)
	{
		const Bar  *next = list_nth(row->bars, i);

		if (strcmp(next->lock->mode, bar->lock->mode) != 0)
			break;
		append_bar(picture, next,
				   y + LANE_TRACK + (14 - bar_heights[bar->strength]) / 2);
		held += next->end - next->start;
	}
	appendStringInfo(buf, "<text class=\"mode\" x=\"4\" y=\"%d\">%s<tspan class=\"held\" dx=\"6\">%s &#183; %s</tspan></text>\n",
					 y + 14, bar->lock->mode, mig_show_ms(held),
					 effects[bar->strength]);
	return i;
}

static int
append_row(Picture *picture, const Row *row, int y)
{
	StringInfo	buf = picture->buf;
	const char *size = mig_show_size(row->lock->bytes, row->lock->rows);
	int			next = 0;

	appendStringInfo(buf, "<line class=\"rule\" x1=\"0\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>"
					 "<text class=\"relation\" x=\"4\" y=\"%d\">", y, y, y + 19);
	mig_html_attribute(buf, row->lock->relation);
	if (size != NULL)
		appendStringInfo(buf, "<tspan class=\"held\" dx=\"6\">%s</tspan>", size);
	appendStringInfoString(buf, "</text>\n");
	y += RELATION_HEIGHT;
	while (next < list_length(row->bars))
	{
		next = append_lane(picture, row, next, y);
		y += LANE_HEIGHT;
	}
	return y + 4;
}

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

static void
append_picture(Picture *picture)
{
	StringInfo	buf = picture->buf;
	int			shown = Min(list_length(picture->rows), MAX_RELATIONS);
	int			y = AXIS_HEIGHT;
	int			i;

	picture->height = AXIS_HEIGHT + TIMES_HEIGHT;
	for (i = 0; i < shown; i++)
	{
		const Row  *row = list_nth(picture->rows, i);

		picture->height += RELATION_HEIGHT + row->lanes * LANE_HEIGHT + 4;
	}
	appendStringInfo(buf, "<svg class=\"timeline\" role=\"img\" aria-label=\"Locks over time\" width=\"100%%\" height=\"%d\">\n",
					 picture->height);
	append_migrations(picture);
	append_statements(picture);
	for (i = 0; i < shown; i++)
		y = append_row(picture, list_nth(picture->rows, i), y);
	append_times(picture);
	appendStringInfoString(buf, "</svg>\n");
	if (shown < list_length(picture->rows))
		appendStringInfo(buf, "<p class=\"soft\">%s more, with weaker or shorter locks</p>\n",
						 mig_show_many(list_length(picture->rows) - shown,
									   "relation", "relations"));
}

void
mig_html_timeline(StringInfo buf, const MigReport *report)
{
	Picture		picture = {buf, report, NIL, 0, 0};

	if (!report->rehearsed)
		return;
	picture.total = report->execution_ms;
	collect(&picture);
	if (picture.rows == NIL || picture.total <= 0)
		return;
	appendStringInfoString(buf, "<section>\n<h2>Locks over time</h2>\n<div class=\"card\">\n"
						   "<p class=\"soft small\">From the statement that takes a lock to the end of its migration. "
						   "Above, the migrations and the lines where their statements begin.</p>\n");
	append_legend(buf);
	append_picture(&picture);
	appendStringInfoString(buf, "</div>\n</section>\n");
}
