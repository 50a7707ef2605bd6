/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/csv.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The next line that says something, split. 1; 0: there is none. */
static int next_line(struct fg_csv *c, struct fg_error *err)
{
        while (c->at < c->end) {
                const char *end = memchr(c->at, '\n', (size_t)(c->end - c->at)), *at = c->at;
                end = end ? end : c->end;
                c->at = end < c->end ? end + 1 : end;
                c->line++;
                if (end > at && end[-1] == '\r')
                        end--;
                if (end == at || *at == '#')
                        continue;
                for (c->columns = 0; c->columns < FG_CSV_COLUMNS_MAX; at++) {
                        const char *comma = memchr(at, ',', (size_t)(end - at));
                        comma = comma ? comma : end;
                        c->field[c->columns++] = (struct fg_csv_field){at, (size_t)(comma - at)};
                        at = comma;
                        if (comma == end)
                                return 1;
                }
                return fg_error_set(err, -EINVAL, "%s:%u: more than %u columns", c->name, c->line, FG_CSV_COLUMNS_MAX);
        }
        return 0;
}

static bool is_named(const struct fg_csv_field *f, const char *name)
{
        return name && f->len == strlen(name) && memcmp(f->text, name, f->len) == 0;
}

/* What is printed of a field in errors; characters are not cut in two. */
static const char *shown(const struct fg_csv_field *f, char buf[44])
{
        size_t n = f->len;
        if (n > 36)
                for (n = 36; n > 32 && ((unsigned char)f->text[n] & 0xc0) == 0x80;)
                        n--;
        for (size_t i = 0; i < n; i++)
                buf[i] = (unsigned char)f->text[i] < 32 || f->text[i] == 127 ? '?' : f->text[i];
        strcpy(buf + n, f->len > n ? "…" : "");
        return buf;
}

static int find_column(struct fg_csv *c, size_t w, struct fg_error *err)
{
        const struct fg_csv_column *want = &c->want[w];
        char found[44];
        c->place[w] = -1;
        for (unsigned i = 0; i < c->columns; i++) {
                if (!is_named(&c->field[i], want->name) && !is_named(&c->field[i], want->other_name))
                        continue;
                if (c->place[w] >= 0)
                        return fg_error_set(err, -EINVAL, "%s:%u: columns %d and %u are both %s; allowed is one", c->name, c->line,
                                            c->place[w] + 1, i + 1, want->name);
                c->place[w] = (int)i;
        }
        if (c->place[w] >= 0 || want->optional)
                return 0;
        return fg_error_set(err, -EINVAL, "%s:%u: no column \"%s\"; the first line, which begins with \"%s\", must name the columns", c->name,
                            c->line, want->name, shown(&c->field[0], found));
}

int fg_csv_open(struct fg_csv *c, const char *name, const char *text, size_t len, const struct fg_csv_column *want, size_t wants,
                struct fg_error *err)
{
        *c = (struct fg_csv){.name = name, .at = text, .end = text + len, .want = want, .wants = wants};
        int r = next_line(c, err);
        if (r == 0)
                return fg_error_set(err, -EINVAL, "%s: empty; its first line must name the columns", name);
        for (size_t w = 0; w < wants && r >= 0; w++)
                r = find_column(c, w, err);
        return r < 0 ? r : 0;
}

const struct fg_csv_field *fg_csv_text(const struct fg_csv *c, size_t wanted)
{
        return c->place[wanted] < 0 ? NULL : &c->field[c->place[wanted]];
}

int fg_csv_refuse(const struct fg_csv *c, size_t wanted, const char *allowed, struct fg_error *err)
{
        char buf[44];
        const struct fg_csv_field *f = fg_csv_text(c, wanted), *head = f;
        if (!head)
                return fg_error_set(err, -EINVAL, "%s:%u: no column \"%s\"; %s", c->name, c->line, c->want[wanted].name, allowed);
        return fg_error_set(err, -EINVAL, "%s:%u: column %d (%s): \"%s\"; %s", c->name, c->line, c->place[wanted] + 1,
                            c->want[wanted].name, shown(f, buf), allowed);
}

static int read_number(struct fg_csv *c, size_t w, struct fg_error *err)
{
        const struct fg_csv_field *f = &c->field[c->place[w]];
        char allowed[96];
        bool minus = f->len > 1 && *f->text == '-', good = f->len > minus && f->len <= 18;
        int64_t value = 0;
        for (size_t i = minus; good && i < f->len; i++) {
                good = f->text[i] >= '0' && f->text[i] <= '9';
                value = value * 10 + (f->text[i] - '0');
        }
        value = minus ? -value : value;
        if (good && value >= c->want[w].min && value <= c->want[w].max) {
                c->value[w] = value;
                return 0;
        }
        snprintf(allowed, sizeof allowed, "allowed is a whole number from %lld to %lld", (long long)c->want[w].min, (long long)c->want[w].max);
        return fg_csv_refuse(c, w, allowed, err);
}

int fg_csv_next(struct fg_csv *c, struct fg_error *err)
{
        int r = next_line(c, err);
        for (size_t w = 0; w < c->wants && r > 0; w++) {
                if (c->place[w] < 0)
                        continue;
                if ((unsigned)c->place[w] >= c->columns)
                        return fg_error_set(err, -EINVAL, "%s:%u: %u columns, so that \"%s\", column %d, is missing", c->name, c->line,
                                            c->columns, c->want[w].name, c->place[w] + 1);
                if ((c->want[w].min || c->want[w].max) && read_number(c, w, err) < 0)
                        return -EINVAL;
        }
        return r;
}

int fg_csv_grow(void *array, size_t count, size_t size)
{
        void **at = array;
        if (count & (count - 1) || (count && count < 64))
                return 0;
        void *more = realloc(*at, (count < 64 ? 64 : count * 2) * size);
        if (!more)
                return -ENOMEM;
        *at = more;
        return 0;
}

int fg_csv_read_file(const char *path, char **ret, size_t *ret_len, struct fg_error *err)
{
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        size_t len = 0;
        if (fd < 0 || fstat(fd, &st) < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        if (!S_ISREG(st.st_mode))
                return fg_error_set(err, -EINVAL, "%s: not a file", path);
        if (st.st_size > FG_CSV_FILE_MAX)
                return fg_error_set(err, -EFBIG, "%s: more than 256 MiB", path);
        fg_autofree char *text = malloc((size_t)st.st_size + 1);
        if (!text)
                return fg_error_set(err, -ENOMEM, "%s: out of memory", path);
        while (len < (size_t)st.st_size) {
                ssize_t n = read(fd, text + len, (size_t)st.st_size - len);
                if (n < 0)
                        return fg_error_set(err, -errno, "%s: %m", path);
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        *ret_len = len;
        *ret = FG_TAKE_PTR(text);
        return 0;
}
