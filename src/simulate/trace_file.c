/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "simulate/csv.h"
#include "simulate/trace_openb.h"

int fg_replay_read_nodes(const char *path, struct fg_replay_nodes *ret, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        size_t len;
        int r = fg_csv_read_file(path, &text, &len, err);
        return r < 0 ? r : fg_replay_parse_nodes(path, text, len, ret, err);
}

int fg_replay_read_pods(const char *path, const struct fg_replay_nodes *nodes, struct fg_replay_pods *ret, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        size_t len;
        int r = fg_csv_read_file(path, &text, &len, err);
        return r < 0 ? r : fg_replay_parse_pods(path, text, len, nodes, ret, err);
}
