/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-runtime's inputs. The first byte says which: 'c' a config.json, which asks and is edited; 'a' arguments, one a line; 'p'
 * lines of the policy; 's' what a runtime says to fastgpu-gate; 'd' what the daemon answers it. What comes out of a config that was edited can be read again, has all that was to be put in, behind what was
 * there, and none of the other vendor's hooks; what a container may name is a name. */
#include "integrations/oci/config.h"

#include "base/size.h"
#include "integrations/gate/gate.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char edits_text[] = "{\"env\": [\"OPENCL_LAYERS=/usr/lib/fastgpu/libfastgpu-opencl.so\", \"FASTGPU_ATTACH=/x\"], \"mounts\": [{\"hostPath\": "
                                 "\"/dev\", \"containerPath\": \"/b\", \"options\": [\"bind\", \"ro\"]}], \"deviceNodes\": [{\"path\": \"/dev/null\"}]}";

static void check_edited(const json_t *config)
{
        char *text = json_dumps(config, JSON_COMPACT);
        json_t *again = NULL, *list;
        const char *kind;
        size_t i;
        json_t *hook, *mounts, *env;
        struct fg_error err = {0};
        assert(text);
        /* Longer by what was added; the bound is for what comes in. */
        if (strlen(text) <= FGI_OCI_CONFIG_MAX)
                assert(fgi_oci_parse(text, strlen(text), &again, &err) == 0 && json_equal(again, config));
        json_object_foreach(json_object_get(config, "hooks"), kind, list)
                json_array_foreach(list, i, hook)
                        assert(!fgi_oci_is_foreign_hook(hook));
        mounts = json_object_get(config, "mounts");
        env = json_object_get(json_object_get(config, "process"), "env");
        assert(json_array_size(mounts) >= 1 && json_array_size(env) >= 2);
        assert(strcmp(json_string_value(json_object_get(json_array_get(mounts, json_array_size(mounts) - 1), "destination")), "/b") == 0);
        assert(strcmp(json_string_value(json_array_get(env, json_array_size(env) - 1)), "FASTGPU_ATTACH=/x") == 0);
        for (i = 0; i + 1 < json_array_size(env); i++)
                assert(!fgi_oci_variable(json_string_value(json_array_get(env, i)), "FASTGPU_ATTACH"));
        json_decref(again);
        free(text);
}

/* Whatever the profile was: the gate is told of calls only, the runtime's rules have none twice with an argument and without, and what the
 * gate is told by the runtime it can read. */
static void try_gate(json_t *config)
{
        const struct fgi_oci_gate gate = {"q/1", "/dev/zero", "/run/gate.sock"};
        struct fg_error err = {0};
        const char *names[] = {"open", "openat"};
        if (fgi_oci_gate_apply(config, NULL, &gate, &err) < 0) {
                assert(err.text[0]);
                return;
        }
        const json_t *seccomp = json_object_get(json_object_get(config, "linux"), "seccomp"), *rule;
        for (size_t n = 0; n < 2; n++) {
                bool is_told = false, is_plain = false;
                size_t i;
                json_array_foreach(json_object_get(seccomp, "syscalls"), i, rule) {
                        if (!fgi_oci_lists(json_object_get(rule, "names"), names[n]))
                                continue;
                        is_told |= json_array_size(json_object_get(rule, "args")) > 0;
                        is_plain |= json_array_size(json_object_get(rule, "args")) == 0;
                }
                assert(!is_told || !is_plain);
        }
        json_t *state = json_pack("{s:[s], s:O}", "fds", "seccompFd", "metadata", json_object_get(seccomp, "listenerMetadata"));
        char *text = json_dumps(state, JSON_COMPACT);
        struct fgi_gate_box box;
        assert(text && fgi_gate_parse(text, strlen(text), &box, &err) == 0 && box.nodes == 1);
        free(text);
        json_decref(state);
}

static void try_message(const char *text, size_t size)
{
        struct fgi_gate_box box;
        struct fg_error err = {0};
        if (fgi_gate_parse(text, size, &box, &err) < 0) {
                assert(err.text[0]);
                return;
        }
        assert(box.name[0] && box.nodes <= FGI_GATE_NODES_MAX);
        for (unsigned i = 0; i < box.nodes; i++)
                assert(strncmp(box.node[i], "/dev/", 5) == 0 && strlen(box.node[i]) < FGI_GATE_PATH_MAX);
}

static void try_config(const char *text, size_t size)
{
        const struct fgi_oci_policy policy = {.env = true, .gpus = "q"}, strict = {.env = false};
        struct fgi_oci_wish wish;
        struct fg_error err = {0};
        char project[64], name[64];
        json_t *config = NULL, *edits = json_loads(edits_text, 0, NULL);
        int64_t index;
        if (fgi_oci_parse(text, size, &config, &err) == 0) {
                int r = fgi_oci_wish(config, &policy, &wish, &err);
                assert(r <= 1 && (r >= 0 || err.text[0]));
                if (r == 1)
                        assert(fg_target_split(wish.target, project, name, &index, NULL) == 0);
                fgi_oci_wish(config, &strict, &wish, &err);
                fgi_oci_gate_refuse_others(config, "/dev/fuse", &err);
                json_t *gated = json_deep_copy(config);
                try_gate(gated);
                json_decref(gated);
                if (fgi_oci_apply(config, edits, &err) == 0)
                        check_edited(config);
                else
                        assert(err.text[0]);
        } else {
                assert(err.text[0]);
        }
        json_decref(config);
        json_decref(edits);
}

static void try_lines(char *text, bool is_policy)
{
        static char name[] = "fastgpu-runtime";
        char *argv[64] = {name}, *rest = text, *line;
        struct fgi_oci_policy policy = {0};
        struct fgi_oci_call call;
        struct fg_error err = {0};
        int argc = 1;
        while (argc < 63 && (line = strsep(&rest, "\n"))) {
                if (is_policy)
                        assert(fgi_oci_policy_line(&policy, line, &err) == 0 || err.text[0]);
                argv[argc++] = line;
        }
        if (is_policy)
                return;
        fgi_oci_argv(argc, argv, &call);
        assert(call.makes || !call.bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        char *copy = malloc(size);
        assert(copy);
        memcpy(copy, data + 1, size - 1);
        copy[size - 1] = 0;
        if (data[0] == 'c')
                try_config(copy, size - 1);
        else if (data[0] == 's')
                try_message(copy, size - 1);
        else if (data[0] == 'd')
                fgi_gate_is_attached(copy, size - 1, 7);
        else
                try_lines(copy, data[0] == 'p');
        free(copy);
        return 0;
}
