/* SPDX-License-Identifier: Apache-2.0
 * The open gate's part of a seccomp profile. Drivers open their nodes for reading and writing, with open or openat; of these calls
 * alone the gate is told, so that other openings cost nothing. */
#include "integrations/oci/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct {
        const char *name;
        int flags; /* which argument */
} gated[] = {{"open", 1}, {"openat", 2}};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *text_of(const json_t *object, const char *name)
{
        const char *text = json_string_value(json_object_get(object, name));
        return text ? text : "";
}

static bool lets_through(const char *action)
{
        return strcmp(action, "SCMP_ACT_ALLOW") == 0 || strcmp(action, "SCMP_ACT_LOG") == 0;
}

/* What the profile does with a call: a rule that forbids it counts before one that allows it. */
static int find_action(const json_t *seccomp, const char *name, const char **ret, struct fg_error *err)
{
        const char *found = NULL;
        const json_t *rule;
        size_t i;
        json_array_foreach(json_object_get(seccomp, "syscalls"), i, rule) {
                const char *action = text_of(rule, "action");
                if (!fgi_oci_lists(json_object_get(rule, "names"), name))
                        continue;
                if (json_array_size(json_object_get(rule, "args")))
                        return fg_error_set(err, -EPERM, "the seccomp profile looks at the arguments of %s itself, and so the open gate (open-gate = on in "
                                            "runtime.conf) cannot: leave that rule out", name);
                if (!found || !lets_through(action))
                        found = action;
        }
        *ret = found ? found : text_of(seccomp, "defaultAction");
        return 0;
}

static void take_out(const json_t *seccomp, const char *name)
{
        json_t *list = json_object_get(seccomp, "syscalls");
        for (size_t i = json_array_size(list); i-- > 0;) {
                json_t *names = json_object_get(json_array_get(list, i), "names");
                for (size_t k = json_array_size(names); k-- > 0;)
                        if (strcmp(json_string_value(json_array_get(names, k)) ?: "", name) == 0)
                                json_array_remove(names, k);
                if (json_is_array(names) && !json_array_size(names))
                        json_array_remove(list, i);
        }
}

static int add_rule(json_t *list, const char *name, const char *action, int argument, int access)
{
        return json_array_append_new(list, json_pack("{s:[s], s:s, s:[{s:i, s:i, s:i, s:s}]}", "names", name, "action", action, "args", "index", argument,
                                                     "value", O_ACCMODE, "valueTwo", access, "op", "SCMP_CMP_MASKED_EQ"));
}

/* Rules with arguments only: beside one without, libseccomp takes none of them. What is what the profile does anyway, runtimes refuse. */
static int gate_call(json_t *seccomp, json_t *list, size_t which, struct fg_error *err)
{
        static const int others[] = {O_RDONLY, O_WRONLY, O_ACCMODE};
        const char *name = gated[which].name, *action = "";
        int r = find_action(seccomp, name, &action, err);
        if (r < 0 || !lets_through(action))
                return r;
        char usual[32];
        snprintf(usual, sizeof usual, "%s", action); /* it goes with the rule */
        take_out(seccomp, name);
        r = add_rule(list, name, "SCMP_ACT_NOTIFY", gated[which].flags, O_RDWR);
        for (size_t i = 0; r == 0 && i < COUNT(others) && strcmp(usual, text_of(seccomp, "defaultAction")) != 0; i++)
                r = add_rule(list, name, usual, gated[which].flags, others[i]);
        return r < 0 ? fg_error_set(err, -ENOMEM, "out of memory") : 0;
}

/* A container without a profile may make every call, on every architecture that the processor runs. */
static json_t *empty_profile(void)
{
#if defined(__x86_64__)
        return json_pack("{s:s, s:[s,s,s], s:[]}", "defaultAction", "SCMP_ACT_ALLOW", "architectures", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
                         "syscalls");
#else
        return json_pack("{s:s, s:[s,s], s:[]}", "defaultAction", "SCMP_ACT_ALLOW", "architectures", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "syscalls");
#endif
}

int fgi_oci_gate_seccomp(json_t *linux_part, const char *socket, const char *metadata, struct fg_error *err)
{
        json_t *seccomp = json_object_get(linux_part, "seccomp");
        if (!json_is_object(seccomp)) {
                seccomp = empty_profile();
                if (json_object_set_new(linux_part, "seccomp", seccomp) < 0)
                        return fg_error_set(err, -ENOMEM, "out of memory");
        }
        if (*text_of(seccomp, "listenerPath"))
                return fg_error_set(err, -EPERM, "the seccomp profile has a listener of its own, and a container has one: leave it out, or open-gate = on in runtime.conf");
        json_t *list = fgi_oci_member(seccomp, "syscalls", JSON_ARRAY);
        int r = list ? 0 : fg_error_set(err, -EINVAL, "config.json is not what an engine writes: linux.seccomp.syscalls");
        for (size_t i = 0; r == 0 && i < COUNT(gated); i++)
                r = gate_call(seccomp, list, i, err);
        if (r == 0 && (json_object_set_new(seccomp, "listenerPath", json_string(socket)) < 0 ||
                       json_object_set_new(seccomp, "listenerMetadata", json_string(metadata)) < 0))
                r = fg_error_set(err, -ENOMEM, "out of memory");
        return r;
}
