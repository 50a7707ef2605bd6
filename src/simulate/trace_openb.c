/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/trace_openb.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 64u

struct field {
        const char *text;
        size_t len;
};

struct column {
        const char *name;
        int32_t max;   /* of a whole number from 0 on; 0: text */
        bool optional;
};

/* One file while it is read. */
struct csv {
        const char *name, *at, *end;
        unsigned line;
        const struct column *want;
        size_t wants;
        int place[8]; /* of each wanted column; -1: not there */
        unsigned columns;
        struct field field[COLUMNS_MAX];
};

/* The next line that is not empty, split. False: there is none. */
static bool next_line(struct csv *c, struct fg_error *err, int *ret_error)
{
        while (c->at < c->end) {
                const char *end = memchr(c->at, '\n', (size_t)(c->end - c->at)), *at = c->at;
                end = end ? end : c->end;
                c->at = end < c->end ? end + 1 : end;
                c->line++;
                if (end > at && end[-1] == '\r')
                        end--;
                if (end == at)
                        continue;
                for (c->columns = 0; c->columns < COLUMNS_MAX; at++) {
                        const char *comma = memchr(at, ',', (size_t)(end - at));
                        comma = comma ? comma : end;
                        c->field[c->columns++] = (struct field){at, (size_t)(comma - at)};
                        at = comma;
                        if (comma == end)
                                return true;
                }
                *ret_error = fg_error_set(err, -EINVAL, "%s:%u: more than %u columns", c->name, c->line, COLUMNS_MAX);
                return false;
        }
        return false;
}

static int read_header(struct csv *c, struct fg_error *err)
{
        int r = 0;
        if (!next_line(c, err, &r))
                return r < 0 ? r : fg_error_set(err, -EINVAL, "%s: empty; its first line must name the columns", c->name);
        for (size_t w = 0; w < c->wants; w++) {
                c->place[w] = -1;
                for (unsigned i = 0; i < c->columns; i++)
                        if (c->field[i].len == strlen(c->want[w].name) && memcmp(c->field[i].text, c->want[w].name, c->field[i].len) == 0)
                                c->place[w] = (int)i;
                if (c->place[w] < 0 && !c->want[w].optional)
                        return fg_error_set(err, -EINVAL, "%s:%u: no column \"%s\"; the first line must name the columns", c->name, c->line,
                                            c->want[w].name);
        }
        return 0;
}

/* What is printed of a field in errors. */
static const char *shown(const struct field *f, char buf[40])
{
        size_t n = f->len < 36 ? f->len : 36;
        for (size_t i = 0; i < n; i++)
                buf[i] = (unsigned char)f->text[i] < 32 || f->text[i] == 127 ? '?' : f->text[i];
        strcpy(buf + n, f->len > n ? "…" : "");
        return buf;
}

static int bad_field(const struct csv *c, size_t w, const char *allowed, struct fg_error *err)
{
        char buf[40];
        return fg_error_set(err, -EINVAL, "%s:%u: column %d (%s): \"%s\"; %s", c->name, c->line, c->place[w] + 1, c->want[w].name,
                            shown(&c->field[c->place[w]], buf), allowed);
}

static int read_number(const struct csv *c, size_t w, int32_t *ret, struct fg_error *err)
{
        const struct field *f = &c->field[c->place[w]];
        char allowed[64];
        int64_t value = 0;
        bool good = f->len > 0 && f->len <= 10;
        for (size_t i = 0; good && i < f->len; i++) {
                good = f->text[i] >= '0' && f->text[i] <= '9';
                value = value * 10 + (f->text[i] - '0');
        }
        if (good && value <= c->want[w].max) {
                *ret = (int32_t)value;
                return 0;
        }
        snprintf(allowed, sizeof allowed, "allowed is a whole number from 0 to %d", c->want[w].max);
        return bad_field(c, w, allowed, err);
}

/* The numbers of a line, in the order wanted. 1; 0: the end. */
static int read_row(struct csv *c, int32_t *ret, struct fg_error *err)
{
        int r = 0;
        if (!next_line(c, err, &r))
                return r;
        for (size_t w = 0; w < c->wants; w++) {
                if (c->place[w] < 0)
                        continue;
                if ((unsigned)c->place[w] >= c->columns)
                        return fg_error_set(err, -EINVAL, "%s:%u: %u columns, so that \"%s\", column %d, is missing", c->name, c->line,
                                            c->columns, c->want[w].name, c->place[w] + 1);
                if (c->want[w].max && (r = read_number(c, w, &ret[w], err)) < 0)
                        return r;
        }
        return 1;
}

/* Room for one more. */
static int grow(void *array, size_t count, size_t size)
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

static int find_model(const struct fg_replay_nodes *n, const char *text, size_t len)
{
        for (unsigned i = 0; i < n->models; i++)
                if (strlen(n->model[i]) == len && memcmp(n->model[i], text, len) == 0)
                        return (int)i;
        return -1;
}

static int add_model(const struct csv *c, size_t w, struct fg_replay_nodes *n, struct fg_error *err)
{
        const struct field *f = &c->field[c->place[w]];
        int i = find_model(n, f->text, f->len);
        if (i >= 0)
                return i;
        if (f->len >= sizeof n->model[0] || memchr(f->text, '|', f->len) || memchr(f->text, '\0', f->len))
                return bad_field(c, w, "allowed are up to 31 characters without |", err);
        if (n->models == FG_CLUSTER_MODELS_MAX)
                return bad_field(c, w, "a cluster may have up to 64 models", err);
        memcpy(n->model[n->models], f->text, f->len);
        return (int)n->models++;
}

static const struct column node_column[] = {{"cpu_milli", FG_CLUSTER_CPU_MAX, false},
                                            {"memory_mib", FG_CLUSTER_MEMORY_MAX, false},
                                            {"gpu", FG_CLUSTER_GPUS_MAX, false},
                                            {"model", 0, false}};

static int read_node(struct csv *c, const int32_t *value, struct fg_replay_nodes *n, struct fg_error *err)
{
        int model = add_model(c, 3, n, err);
        if (model < 0)
                return model;
        if (n->count == FG_CLUSTER_NODES_MAX)
                return fg_error_set(err, -EINVAL, "%s:%u: more than %u nodes", c->name, c->line, FG_CLUSTER_NODES_MAX);
        if (grow(&n->shape, n->count, sizeof(*n->shape)) < 0)
                return fg_error_set(err, -ENOMEM, "%s: out of memory", c->name);
        n->shape[n->count++] = (struct fg_cluster_shape){value[0], value[1], (uint8_t)value[2], (uint8_t)model};
        return 0;
}

int fg_replay_parse_nodes(const char *name, const char *text, size_t len, struct fg_replay_nodes *ret, struct fg_error *err)
{
        FG_CLEANUP(fg_replay_clear_nodes) struct fg_replay_nodes n = {0};
        struct csv c = {.name = name, .at = text, .end = text + len, .want = node_column, .wants = 4};
        int32_t value[4] = {0};
        int r = read_header(&c, err);
        while (r == 0 && (r = read_row(&c, value, err)) == 1)
                r = read_node(&c, value, &n, err);
        if (r < 0)
                return r;
        if (n.count == 0)
                return fg_error_set(err, -EINVAL, "%s: no nodes; each line after the first is one", name);
        *ret = n;
        n = (struct fg_replay_nodes){0};
        return 0;
}

static const struct column pod_column[] = {{"cpu_milli", FG_CLUSTER_CPU_MAX, false},
                                           {"memory_mib", FG_CLUSTER_MEMORY_MAX, false},
                                           {"num_gpu", FG_CLUSTER_GPUS_MAX, false},
                                           {"gpu_milli", FG_CLUSTER_GPU, false},
                                           {"gpu_spec", 0, true}};

/* "A10|T4" as a set; of models that no node has, the last bit that no node can have either. */
static int read_models(const struct csv *c, const struct fg_replay_nodes *nodes, uint64_t *ret, struct fg_error *err)
{
        *ret = 0;
        if (c->place[4] < 0)
                return 0;
        const struct field *f = &c->field[c->place[4]];
        for (size_t at = 0; at < f->len;) {
                const char *bar = memchr(f->text + at, '|', f->len - at);
                size_t len = bar ? (size_t)(bar - f->text) - at : f->len - at;
                int i = find_model(nodes, f->text + at, len);
                if (len == 0)
                        return bad_field(c, 4, "allowed are names of models with | between them", err);
                if (i >= 0)
                        *ret |= (uint64_t)1 << i;
                at += len + 1;
        }
        if (f->len && *ret == 0)
                *ret = (uint64_t)1 << (FG_CLUSTER_MODELS_MAX - 1);
        return 0;
}

static int read_pod(struct csv *c, const int32_t *value, const struct fg_replay_nodes *nodes, struct fg_replay_pods *p, struct fg_error *err)
{
        struct fg_cluster_pod pod = {
                .cpu = value[0], .memory = value[1], .gpus = (uint16_t)value[2], .milli = (uint16_t)(value[2] ? value[3] : 0)};
        int r = read_models(c, nodes, &pod.models, err);
        if (r < 0)
                return r;
        if (!fg_cluster_pod_is_valid(&pod))
                return bad_field(c, 3, pod.gpus > 1 ? "of several GPUs all 1000 are wanted" : "allowed is 1 to 1000", err);
        if (p->count == FG_REPLAY_PODS_MAX)
                return fg_error_set(err, -EINVAL, "%s:%u: more than %u pods", c->name, c->line, FG_REPLAY_PODS_MAX);
        if (grow(&p->pod, p->count, sizeof(*p->pod)) < 0)
                return fg_error_set(err, -ENOMEM, "%s: out of memory", c->name);
        p->pod[p->count++] = pod;
        return 0;
}

int fg_replay_parse_pods(const char *name, const char *text, size_t len, const struct fg_replay_nodes *nodes, struct fg_replay_pods *ret,
                         struct fg_error *err)
{
        FG_CLEANUP(fg_replay_clear_pods) struct fg_replay_pods p = {0};
        struct csv c = {.name = name, .at = text, .end = text + len, .want = pod_column, .wants = 5};
        int32_t value[5] = {0};
        int r = read_header(&c, err);
        while (r == 0 && (r = read_row(&c, value, err)) == 1)
                r = read_pod(&c, value, nodes, &p, err);
        if (r < 0)
                return r;
        if (p.count == 0)
                return fg_error_set(err, -EINVAL, "%s: no pods; each line after the first is one", name);
        *ret = p;
        p = (struct fg_replay_pods){0};
        return 0;
}

void fg_replay_clear_nodes(struct fg_replay_nodes *nodes)
{
        free(nodes->shape);
        *nodes = (struct fg_replay_nodes){0};
}

void fg_replay_clear_pods(struct fg_replay_pods *pods)
{
        free(pods->pod);
        *pods = (struct fg_replay_pods){0};
}
