/*
 * Tables on a terminal, in psql's forms:
 *
 *    id | name         id|name        -[ RECORD 1 ]---
 *   ----+-------       1|one          id   | 1
 *     1 | one          (1 row)        name | one
 *   (1 row)
 *
 * Unaligned and expanded rows are printed as they come; an aligned table is kept until its widths
 * are known. Width is counted in terminal columns of UTF-8 characters. A value of several lines
 * takes several lines of the table, each but the last marked with '+'.
 */
#include "base/mem.h"
#include "cli.h"

#include <string.h>
#include <wchar.h>

struct column {
    char *title;
    bool is_right;
    size_t width;
};

struct cell {
    size_t offset; /* into text */
    size_t len;
};

struct table {
    struct table_format format;
    FILE *out;
    struct column *columns;
    size_t column_count;
    struct buf text;
    struct cell *cells;
    size_t cell_count; /* kept */
    size_t cell_cap;
    size_t position; /* of the next cell in its row */
    uint64_t rows;
};

struct table *table_create(const struct table_format *format, FILE *out)
{
    struct table *t = MEM_NEW(struct table);
    t->format = *format;
    t->out = out;
    if (t->format.separator == NULL) {
        t->format.separator = "|";
    }
    return t;
}

void table_column(struct table *t, const char *title, bool is_right)
{
    t->columns = mem_realloc(t->columns, (t->column_count + 1) * sizeof(t->columns[0]));
    t->columns[t->column_count++] = (struct column){mem_strdup(title), is_right, 0};
}

/* Terminal columns of s up to len. */
static size_t width_of(const char *s, size_t len)
{
    size_t width = 0;
    mbstate_t state = {0};
    while (len > 0) {
        wchar_t w;
        size_t n = mbrtowc(&w, s, len, &state);
        if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
            memset(&state, 0, sizeof(state));
            n = 1;
            width++;
        } else {
            int cols = wcwidth(w);
            width += cols > 0 ? (size_t)cols : 0;
        }
        s += n;
        len -= n;
    }
    return width;
}

static size_t line_len(const char *s, size_t len)
{
    const char *end = memchr(s, '\n', len);
    return end == NULL ? len : (size_t)(end - s);
}

/* The widest line of s. */
static size_t widest(const char *s, size_t len)
{
    size_t max = 0;
    for (;;) {
        size_t n = line_len(s, len);
        size_t w = width_of(s, n);
        max = w > max ? w : max;
        if (n == len) {
            return max;
        }
        s += n + 1;
        len -= n + 1;
    }
}

static void spaces(FILE *out, size_t n, char c)
{
    while (n-- > 0) {
        (void)fputc(c, out);
    }
}

static void print_titles_unaligned(struct table *t)
{
    for (size_t i = 0; !t->format.is_tuples_only && i < t->column_count; i++) {
        (void)fprintf(t->out, "%s%s", i == 0 ? "" : t->format.separator, t->columns[i].title);
    }
    if (!t->format.is_tuples_only) {
        (void)fputc('\n', t->out);
    }
}

static size_t title_width(const struct table *t)
{
    size_t max = 0;
    for (size_t i = 0; i < t->column_count; i++) {
        size_t w = width_of(t->columns[i].title, strlen(t->columns[i].title));
        max = w > max ? w : max;
    }
    return max;
}

static void print_expanded_cell(struct table *t, const char *text, size_t len)
{
    const struct column *c = &t->columns[t->position];
    size_t pad = title_width(t) - width_of(c->title, strlen(c->title));
    if (t->position == 0 && !t->format.is_tuples_only) {
        (void)fprintf(t->out, "-[ RECORD %llu ]", (unsigned long long)t->rows + 1);
        spaces(t->out, 10, '-');
        (void)fputc('\n', t->out);
    } else if (t->position == 0 && t->rows > 0) {
        (void)fputc('\n', t->out);
    }
    (void)fputs(c->title, t->out);
    spaces(t->out, pad, ' ');
    (void)fputs(" | ", t->out);
    (void)fwrite(text, 1, len, t->out);
    (void)fputc('\n', t->out);
}

static void print_unaligned_cell(struct table *t, const char *text, size_t len)
{
    if (t->rows == 0 && t->position == 0) {
        print_titles_unaligned(t);
    }
    if (t->position > 0) {
        (void)fputs(t->format.separator, t->out);
    }
    (void)fwrite(text, 1, len, t->out);
    if (t->position + 1 == t->column_count) {
        (void)fputc('\n', t->out);
    }
}

void table_cell(struct table *t, const char *text, size_t len)
{
    if (text == NULL) {
        text = "";
        len = 0;
    }
    if (t->format.is_expanded) {
        print_expanded_cell(t, text, len);
    } else if (t->format.is_unaligned) {
        print_unaligned_cell(t, text, len);
    } else {
        struct column *c = &t->columns[t->position];
        size_t w = widest(text, len);
        c->width = w > c->width ? w : c->width;
        if (t->cell_count == t->cell_cap) {
            t->cell_cap = t->cell_cap == 0 ? 256 : t->cell_cap * 2;
            t->cells = mem_realloc(t->cells, t->cell_cap * sizeof(t->cells[0]));
        }
        t->cells[t->cell_count++] = (struct cell){t->text.len, len};
        buf_put(&t->text, text, len);
    }
    if (++t->position == t->column_count) {
        t->position = 0;
        t->rows++;
    }
}

/* One line of one row's cells. */
static void print_line(struct table *t, const char **rest, size_t *left)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        bool is_last = i + 1 == t->column_count;
        size_t n = rest[i] == NULL ? 0 : line_len(rest[i], left[i]);
        bool has_more = rest[i] != NULL && n < left[i];
        size_t pad = c->width - (n == 0 ? 0 : width_of(rest[i], n));
        (void)fputs(i == 0 ? " " : "| ", t->out);
        if (c->is_right) {
            spaces(t->out, pad, ' ');
        }
        if (n > 0) {
            (void)fwrite(rest[i], 1, n, t->out);
        }
        if (!c->is_right && (!is_last || has_more)) {
            spaces(t->out, pad, ' ');
        }
        if (has_more) {
            (void)fputc('+', t->out);
            rest[i] += n + 1;
            left[i] -= n + 1;
        } else {
            if (!is_last) {
                (void)fputc(' ', t->out);
            }
            rest[i] = NULL;
            left[i] = 0;
        }
    }
    (void)fputc('\n', t->out);
}

static void print_head(struct table *t)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        size_t pad = c->width - width_of(c->title, strlen(c->title));
        (void)fputs(i == 0 ? " " : "| ", t->out);
        spaces(t->out, pad / 2, ' ');
        (void)fputs(c->title, t->out);
        spaces(t->out, pad - pad / 2 + 1, ' ');
    }
    (void)fputc('\n', t->out);
    for (size_t i = 0; i < t->column_count; i++) {
        if (i > 0) {
            (void)fputc('+', t->out);
        }
        spaces(t->out, t->columns[i].width + 2, '-');
    }
    (void)fputc('\n', t->out);
}

static void print_aligned(struct table *t)
{
    for (size_t i = 0; i < t->column_count; i++) {
        size_t w = t->format.is_tuples_only
                       ? 0
                       : width_of(t->columns[i].title, strlen(t->columns[i].title));
        t->columns[i].width = w > t->columns[i].width ? w : t->columns[i].width;
    }
    if (!t->format.is_tuples_only) {
        print_head(t);
    }
    const char **rest = mem_zalloc((t->column_count + 1) * sizeof(rest[0]));
    size_t *left = mem_zalloc((t->column_count + 1) * sizeof(left[0]));
    const char *text = (const char *)t->text.data;
    for (size_t row = 0; row + t->column_count <= t->cell_count && t->column_count > 0;
         row += t->column_count) {
        for (size_t i = 0; i < t->column_count; i++) {
            rest[i] = t->cells[row + i].len == 0 ? "" : text + t->cells[row + i].offset;
            left[i] = t->cells[row + i].len;
        }
        bool has_more = true;
        while (has_more) {
            print_line(t, rest, left);
            has_more = false;
            for (size_t i = 0; i < t->column_count; i++) {
                has_more = has_more || rest[i] != NULL;
            }
        }
    }
    mem_free(rest);
    mem_free(left);
}

void table_drop(struct table *t)
{
    for (size_t i = 0; i < t->column_count; i++) {
        mem_free(t->columns[i].title);
    }
    mem_free(t->columns);
    mem_free(t->cells);
    buf_deinit(&t->text);
    mem_free(t);
}

void table_finish(struct table *t, bool with_count)
{
    if (t->format.is_unaligned && !t->format.is_expanded && t->rows == 0) {
        print_titles_unaligned(t);
    } else if (!t->format.is_unaligned && !t->format.is_expanded) {
        print_aligned(t);
    }
    if (with_count && !t->format.is_tuples_only && (!t->format.is_expanded || t->rows == 0)) {
        (void)fprintf(t->out, "(%llu row%s)\n", (unsigned long long)t->rows,
                      t->rows == 1 ? "" : "s");
    }
    if (with_count && !t->format.is_unaligned && !t->format.is_tuples_only) {
        (void)fputc('\n', t->out);
    }
    table_drop(t);
}
