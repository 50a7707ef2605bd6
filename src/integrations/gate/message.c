/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/gate/gate.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static void drop(json_t **json)
{
        json_decref(*json);
}
#define autojson FG_CLEANUP(drop)

static int take_target(const char *target, struct fgi_gate_box *ret, struct fg_error *err)
{
        int64_t index;
        if (!target || strlen(target) >= sizeof ret->target || fg_target_split(target, ret->project, ret->name, &index, NULL) < 0)
                return fg_error_set(err, -EINVAL, "the profile's listenerMetadata names no vGPU");
        strcpy(ret->target, target);
        return 0;
}

static int take_nodes(const json_t *nodes, struct fgi_gate_box *ret, struct fg_error *err)
{
        const json_t *node;
        size_t i;
        if (!json_is_array(nodes) || json_array_size(nodes) > FGI_GATE_NODES_MAX)
                return fg_error_set(err, -EINVAL, "the profile's listenerMetadata has no list of at most %u nodes", FGI_GATE_NODES_MAX);
        json_array_foreach(nodes, i, node) {
                const char *path = json_string_value(node);
                if (!path || strncmp(path, "/dev/", 5) != 0 || strlen(path) >= FGI_GATE_PATH_MAX)
                        return fg_error_set(err, -EINVAL, "the profile's listenerMetadata has a node that is none");
                strcpy(ret->node[ret->nodes++], path);
        }
        return 0;
}

int fgi_gate_parse(const char *text, size_t size, struct fgi_gate_box *ret, struct fg_error *err)
{
        autojson json_t *state = json_loadb(text, size, JSON_DISABLE_EOF_CHECK, NULL);
        if (!state) /* a piece may end anywhere, within an escape or a character too, and then it looks like no JSON at all */
                return fg_error_set(err, -EAGAIN, "what was sent ends in the middle");
        const json_t *fds = json_object_get(state, "fds"), *first = json_array_get(fds, 0);
        if (json_array_size(fds) != 1 || !json_is_string(first) || strcmp(json_string_value(first), "seccompFd") != 0)
                return fg_error_set(err, -EINVAL, "what was sent is not the state of a container with its seccomp listener");
        const char *metadata = json_string_value(json_object_get(state, "metadata"));
        autojson json_t *grant = metadata ? json_loads(metadata, JSON_REJECT_DUPLICATES, NULL) : NULL;
        struct fgi_gate_box box = {0};
        int r = take_target(json_string_value(json_object_get(grant, "target")), &box, err);
        if (r == 0)
                r = take_nodes(json_object_get(grant, "nodes"), &box, err);
        if (r == 0)
                *ret = box;
        return r;
}
