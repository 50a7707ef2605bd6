/* SPDX-License-Identifier: Apache-2.0
 * Traces in the format of "openb" (Alibaba's cluster-trace-gpu-v2023): nodes and pods as CSV. Columns are found by their names; others
 * are passed over. */
#ifndef FG_REPLAY_TRACE_OPENB_H
#define FG_REPLAY_TRACE_OPENB_H

#include "base/error.h"
#include "sched/cluster.h"

#define FG_REPLAY_PODS_MAX 1000000u

struct fg_replay_nodes {
        struct fg_cluster_shape *shape;
        size_t count, added; /* added: of them, at the end, that are there only to see what they would do */
        char model[FG_CLUSTER_MODELS_MAX][32];
        unsigned models;
};

struct fg_replay_pods {
        struct fg_cluster_pod *pod;
        size_t count;
};

/* `name` stands for the file in errors, which name line and column, what was found and what is allowed: -EINVAL; -ENOMEM. The text
 * need not end with NUL. On success the caller clears *ret. */
int fg_replay_parse_nodes(const char *name, const char *text, size_t len, struct fg_replay_nodes *ret, struct fg_error *err);
/* A model that no node has leaves a pod without a place; it is not an error. */
int fg_replay_parse_pods(const char *name, const char *text, size_t len, const struct fg_replay_nodes *nodes, struct fg_replay_pods *ret,
                         struct fg_error *err);

/* The same, from files. */
int fg_replay_read_nodes(const char *path, struct fg_replay_nodes *ret, struct fg_error *err);
int fg_replay_read_pods(const char *path, const struct fg_replay_nodes *nodes, struct fg_replay_pods *ret, struct fg_error *err);

void fg_replay_clear_nodes(struct fg_replay_nodes *nodes);
void fg_replay_clear_pods(struct fg_replay_pods *pods);

#endif
