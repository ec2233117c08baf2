/* See plot.h. Sizes are in SVG's user units; a row of panels is a mix and a transport, its columns
 * are put and get. */
#include "benchmark/plot.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "benchmark/batch.h"
#include "benchmark/link.h"
#include "benchmark/units.h"

enum {
    PANEL_WIDTH = 500,
    PANEL_HEIGHT = 330,
    LEFT = 62,
    RIGHT = 124,
    TOP = 44,
    BOTTOM = 52, /* of a panel, around its axes */
    HEADER = 64,
    FOOTER = 30,
    LABEL_GAP = 15,
    ROWS_MAX = BATCH_MIXES * LINK_TRANSPORTS,
};

struct axis {
    double low, high; /* in what is measured */
    double from, to;  /* in the picture */
};

struct panel {
    const struct report *report;
    const char *scenario, *mix, *transport;
    struct axis x, y;
};

static const struct peer_look {
    const char *name, *color, *dash;
    const char *labels[2]; /* beside the line, for put and get */
} looks[] = {
    {"tq", "#1d4ed8", "", {"tq", "tq"}},
    {"raw", "#6b7280", "6 4", {"raw socket", "raw socket"}},
    {"redis", "#dc2626", "", {"redis HSET", "redis HMGET"}},
};

enum { LOOKS = sizeof(looks) / sizeof(*looks) };

static double place(const struct axis *a, double value) {
    double share = (log10(value) - log10(a->low)) / (log10(a->high) - log10(a->low));
    return a->from + share * (a->to - a->from);
}

static bool belongs(const struct panel *p, const struct report_result *r) {
    return r->mix && !r->cold && !strcmp(r->scenario, p->scenario) && !strcmp(r->mix, p->mix) &&
           !strcmp(r->transport, p->transport);
}

static const struct report_peer *find_peer(const struct report_result *r, const char *name) {
    for (size_t i = 0; i < r->n_peers; i++)
        if (!strcmp(r->peers[i].name, name)) return &r->peers[i];
    return NULL;
}

/* ---- axes ---------------------------------------------------------------------------------- */

static void widen(struct axis *a, double value) {
    if (value < a->low) a->low = value;
    if (value > a->high) a->high = value;
}

/* Of all results, so that panels can be compared by eye. */
static void fit_axes(const struct report *report, struct axis *x, struct axis *y) {
    *x = *y = (struct axis){.low = DBL_MAX, .high = 0};
    for (size_t i = 0; i < report->n; i++) {
        const struct report_result *r = &report->results[i];
        if (!r->mix) continue;
        widen(x, (double)r->payload_bytes);
        for (size_t k = 0; k < r->n_peers; k++)
            if (r->peers[k].gbit > 0) widen(y, r->peers[k].gbit);
    }
    x->low /= 1.4;
    x->high *= 1.4;
    y->low = pow(10, floor(log10(y->low / 1.15) * 3) / 3);
    y->high *= 1.3;
}

static void draw_x(FILE *out, const struct panel *p) {
    struct units_text u;
    for (double v = pow(10, ceil(log10(p->x.low))); v <= p->x.high; v *= 10) {
        double at = place(&p->x, v);
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", at,
                p->y.from, at, p->y.to);
        fprintf(out,
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", at,
                p->y.from + 18, units_bytes((uint64_t)(v + 0.5), &u));
    }
    fprintf(out,
            "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
            "field values in a batch</text>\n",
            (p->x.from + p->x.to) / 2, p->y.from + 38);
}

static void draw_y(FILE *out, const struct panel *p) {
    static const int steps[] = {1, 2, 5};
    for (double decade = pow(10, floor(log10(p->y.low))); decade <= p->y.high; decade *= 10)
        for (size_t i = 0; i < 3; i++) {
            double v = decade * steps[i], at = place(&p->y, v);
            if (v < p->y.low * 0.999 || v > p->y.high) continue;
            fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                    p->x.from, at, p->x.to, at);
            fprintf(out,
                    "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                    p->x.from - 8, at + 4, v);
        }
    fprintf(out,
            "<text class=\"axis\" transform=\"translate(%.1f %.1f) rotate(-90)\" "
            "text-anchor=\"middle\">Gbit/s</text>\n",
            p->x.from - 44, (p->y.from + p->y.to) / 2);
}

/* ---- lines --------------------------------------------------------------------------------- */

struct label {
    const struct peer_look *look;
    double y, gbit;
};

/* The line of one peer; false where it has no points. *label is for its end. */
static bool draw_line(FILE *out, const struct panel *p, const struct peer_look *look,
                      struct label *label) {
    bool any = false;
    fprintf(out,
            "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2.5\" "
            "stroke-linejoin=\"round\" stroke-dasharray=\"%s\" points=\"",
            look->color, *look->dash ? look->dash : "none");
    for (size_t i = 0; i < p->report->n; i++) {
        const struct report_result *r = &p->report->results[i];
        const struct report_peer *peer = belongs(p, r) ? find_peer(r, look->name) : NULL;
        if (!peer || peer->gbit <= 0) continue;
        double x = place(&p->x, (double)r->payload_bytes);
        *label = (struct label){look, place(&p->y, peer->gbit), peer->gbit};
        fprintf(out, "%.1f,%.1f ", x, label->y);
        any = true;
    }
    fprintf(out, "\"/>\n");
    for (size_t i = 0; i < p->report->n; i++) {
        const struct report_result *r = &p->report->results[i];
        const struct report_peer *peer = belongs(p, r) ? find_peer(r, look->name) : NULL;
        if (!peer || peer->gbit <= 0) continue;
        fprintf(out,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.6\" fill=\"%s\"><title>%s: "
                "%zu × %zu × %zu bytes: %.2f Gbit/s</title></circle>\n",
                place(&p->x, (double)r->payload_bytes), place(&p->y, peer->gbit), look->color,
                look->name, r->samples, r->fields, r->value_bytes, peer->gbit);
    }
    return any;
}

/* Labels at the ends of lines, moved apart where lines end close to each other. */
static void draw_labels(FILE *out, double x, struct label *labels, size_t n, bool get) {
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && labels[k].y < labels[k - 1].y; k--) {
            struct label swap = labels[k];
            labels[k] = labels[k - 1];
            labels[k - 1] = swap;
        }
    for (size_t i = 1; i < n; i++)
        if (labels[i].y < labels[i - 1].y + LABEL_GAP) labels[i].y = labels[i - 1].y + LABEL_GAP;
    for (size_t i = 0; i < n; i++)
        fprintf(
            out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" style=\"fill: %s\">%s %.3g</text>\n",
            x, labels[i].y + 4, labels[i].look->color, labels[i].look->labels[get], labels[i].gbit);
}

static void draw_panel(FILE *out, const struct panel *p) {
    bool get = !strcmp(p->scenario, "mget");
    struct label labels[LOOKS];
    size_t n = 0;
    fprintf(out, "<text class=\"panel\" x=\"%.1f\" y=\"%.1f\">%s, %s, %s</text>\n", p->x.from,
            p->y.to - 16, get ? "Get: TQ.MGET AS COLUMNS" : "Put: TQ.MPUT", p->mix, p->transport);
    draw_x(out, p);
    draw_y(out, p);
    fprintf(out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
            p->x.from, p->y.to, p->x.to - p->x.from, p->y.from - p->y.to);
    /* The first look is ours and is drawn last, on top. */
    for (size_t i = LOOKS; i-- > 0;) n += draw_line(out, p, &looks[i], &labels[n]);
    draw_labels(out, p->x.to + 8, labels, n, get);
}

/* ---- the page ------------------------------------------------------------------------------ */

static void draw_head(FILE *out, int width, int height) {
    struct utsname os = {0};
    char date[32];
    time_t now = time(NULL);
    uname(&os);
    strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&now));
    fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
        "height=\"%d\">\n<style>\n"
        "text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; "
        "fill: #111827 }\n"
        ".title { font-size: 20px; font-weight: 600 } .sub { font-size: 13px; fill: #4b5563 }\n"
        ".panel { font-size: 14px; font-weight: 600 } .tick { font-size: 12px; fill: #4b5563 }\n"
        ".axis { font-size: 12px; fill: #4b5563 } .label { font-size: 12.5px; font-weight: 600 }\n"
        ".grid { stroke: #e5e7eb; stroke-width: 1 }\n"
        ".frame { fill: none; stroke: #9ca3af; stroke-width: 1 }\n"
        "</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
        width, height, width, height, width, height);
    fprintf(out, "<text class=\"title\" x=\"%d\" y=\"34\">Batches through tq, by size</text>\n",
            LEFT);
    fprintf(out,
            "<text class=\"sub\" x=\"%d\" y=\"54\">one run on %ld processors, Linux %s, %s; "
            "both axes logarithmic; medians of rounds</text>\n",
            LEFT, sysconf(_SC_NPROCESSORS_ONLN), os.release, date);
}

struct row {
    const char *mix, *transport;
};

/* The different pairs of mix and transport, in the order they came. */
static size_t find_rows(const struct report *r, struct row *rows, size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct report_result *one = &r->results[i];
        size_t k = 0;
        if (!one->mix || one->cold) continue;
        if (strcmp(one->scenario, "mput") && strcmp(one->scenario, "mget")) continue;
        while (k < n &&
               (strcmp(rows[k].mix, one->mix) || strcmp(rows[k].transport, one->transport)))
            k++;
        if (k == n && n < max) rows[n++] = (struct row){one->mix, one->transport};
    }
    return n;
}

static void draw(FILE *out, const struct report *report) {
    static const char *const scenarios[] = {"mput", "mget"};
    struct row rows[ROWS_MAX];
    size_t n = find_rows(report, rows, ROWS_MAX);
    draw_head(out, 2 * PANEL_WIDTH, HEADER + (int)n * PANEL_HEIGHT + FOOTER);
    struct panel p = {.report = report};
    fit_axes(report, &p.x, &p.y);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 2; k++) {
            int left = (int)k * PANEL_WIDTH, top = HEADER + (int)i * PANEL_HEIGHT;
            p.scenario = scenarios[k];
            p.mix = rows[i].mix;
            p.transport = rows[i].transport;
            p.x.from = left + LEFT;
            p.x.to = left + PANEL_WIDTH - RIGHT;
            p.y.from = top + PANEL_HEIGHT - BOTTOM;
            p.y.to = top + TOP;
            draw_panel(out, &p);
        }
    fprintf(out, "</svg>\n");
}

int plot_write(const char *path, const struct report *r, struct error *e) {
    FILE *out = fopen(path, "we");
    if (!out) return error_set(e, ERROR_ERR, "can't write %s: %s", path, strerror(errno));
    draw(out, r);
    bool failed = ferror(out) != 0;
    if (fclose(out) || failed) return error_set(e, ERROR_ERR, "can't write %s", path);
    return 0;
}
