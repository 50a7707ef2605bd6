/* SPDX-License-Identifier: Apache-2.0
 * What fastgpu-runtime makes of a container's rules and seccomp profile for the open gate, and what fastgpu-gate reads. */
#include "unit.h"

#include "integrations/gate/gate.h"
#include "integrations/oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLOSED "{\"allow\": false, \"access\": \"rwm\"}"

static json_t *make(const char *rules, const char *rest)
{
        char text[2048];
        snprintf(text, sizeof text, "{\"linux\": {\"resources\": {\"devices\": [%s]}%s}}", rules, rest);
        json_t *config = json_loads(text, 0, NULL);
        assert_non_null(config);
        return config;
}

static int apply(json_t *config, struct fg_error *err)
{
        const struct fgi_oci_gate gate = {"q/1", " /dev/zero  /dev/null ", "/run/gate.sock"};
        json_t *nodes = json_pack("[{s:s}]", "path", "/dev/null");
        int r = fgi_oci_gate_apply(config, nodes, &gate, err);
        json_decref(nodes);
        return r;
}

static int apply_to(const char *rules, const char *rest)
{
        struct fg_error err = {0};
        json_t *config = make(rules, rest);
        int r = apply(config, &err);
        assert_true(r == 0 || err.text[0]);
        json_decref(config);
        return r;
}

static void rules(void **state)
{
        /* Making nodes is no opening, and what is forbidden is no danger. */
        assert_int_equal(apply_to(CLOSED, ""), 0);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"c\", \"access\": \"m\"}", ""), 0);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"b\", \"major\": 226, \"access\": \"rw\"}", ""), 0);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": false, \"type\": \"c\", \"major\": 195, \"access\": \"rw\"}", ""), 0);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 1, \"minor\": 7, \"access\": \"rw\"}", ""), 0);
        assert_int_equal(apply_to("", ""), -EPERM);
        assert_int_equal(apply_to("{\"allow\": false, \"type\": \"b\", \"access\": \"rwm\"}", ""), -EPERM);
        assert_int_equal(apply_to("{\"allow\": false, \"access\": \"rm\"}", ""), -EPERM);
        assert_int_equal(apply_to("{\"allow\": false}", ""), 0);
        assert_int_equal(apply_to("{\"allow\": false, \"major\": 1, \"access\": \"rwm\"}", ""), -EPERM);
        assert_int_equal(apply_to("{\"allow\": true, \"access\": \"rwm\"}", ""), -EPERM);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"access\": \"rwm\"}", ""), -EPERM);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true}", ""), -EPERM);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"a\", \"access\": \"r\"}", ""), -EPERM);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 195, \"minor\": 3, \"access\": \"r\"}", ""), -EPERM);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 226, \"access\": \"w\"}", ""), -EPERM);
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 1, \"minor\": 5, \"access\": \"rwm\"}", ""), -EPERM); /* /dev/zero */
        assert_int_equal(apply_to(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 1, \"access\": \"rw\"}", ""), -EPERM);
        assert_int_equal(apply_to(CLOSED, ", \"devices\": 7"), -EINVAL);
}

static const json_t *path_of(const json_t *config, const char *name)
{
        return json_object_get(json_object_get(json_object_get(config, "linux"), "seccomp"), name);
}

/* The rules about a call: "ACTION flags&3==N" each, in their order. */
static const char *rules_about(const json_t *config, const char *name)
{
        static char text[512];
        const json_t *rule, *one;
        size_t i, k;
        text[0] = 0;
        json_array_foreach(path_of(config, "syscalls"), i, rule)
                json_array_foreach(json_object_get(rule, "names"), k, one) {
                        const json_t *arg = json_array_get(json_object_get(rule, "args"), 0);
                        if (strcmp(json_string_value(one), name) != 0)
                                continue;
                        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", json_string_value(json_object_get(rule, "action")) + 9);
                        if (arg)
                                snprintf(text + strlen(text), sizeof text - strlen(text), " %d=%d", (int)json_integer_value(json_object_get(arg, "index")),
                                         (int)json_integer_value(json_object_get(arg, "valueTwo")));
                        strcat(text, ";");
                }
        return text;
}

static json_t *profile(const char *seccomp)
{
        struct fg_error err = {0};
        char rest[1024];
        snprintf(rest, sizeof rest, ", \"seccomp\": %s", seccomp);
        json_t *config = make(CLOSED, rest);
        assert_int_equal(apply(config, &err), 0);
        return config;
}

static void profiles(void **state)
{
        json_t *config = profile("null");
        assert_string_equal(rules_about(config, "open"), "NOTIFY 1=2;");
        assert_string_equal(rules_about(config, "openat"), "NOTIFY 2=2;");
        assert_string_equal(json_string_value(path_of(config, "defaultAction")), "SCMP_ACT_ALLOW");
        assert_string_equal(json_string_value(path_of(config, "listenerPath")), "/run/gate.sock");
        assert_string_equal(json_string_value(path_of(config, "listenerMetadata")), "{\"target\":\"q/1\",\"nodes\":[\"/dev/null\",\"/dev/zero\"]}");
        assert_int_equal(json_array_size(json_object_get(json_object_get(config, "linux"), "devices")), 2);
        assert_int_equal(json_array_size(json_object_get(json_object_get(json_object_get(config, "linux"), "resources"), "devices")), 1);
        json_decref(config);
        /* As engines write it: all that is allowed is listed. */
        config = profile("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"open\", \"openat\", \"read\"], \"action\": \"SCMP_ACT_ALLOW\"},"
                         " {\"names\": [\"openat\"], \"action\": \"SCMP_ACT_LOG\"}]}");
        assert_string_equal(rules_about(config, "open"), "NOTIFY 1=2;ALLOW 1=0;ALLOW 1=1;ALLOW 1=3;");
        assert_string_equal(rules_about(config, "openat"), "NOTIFY 2=2;ALLOW 2=0;ALLOW 2=1;ALLOW 2=3;");
        assert_string_equal(rules_about(config, "read"), "ALLOW;");
        json_decref(config);
        /* What is forbidden stays so, by whatever rule. */
        config = profile("{\"defaultAction\": \"SCMP_ACT_KILL\", \"syscalls\": [{\"names\": [\"open\"], \"action\": \"SCMP_ACT_ERRNO\"},"
                         " {\"names\": [\"open\"], \"action\": \"SCMP_ACT_ALLOW\"}]}");
        assert_string_equal(rules_about(config, "open"), "ERRNO;ALLOW;");
        assert_string_equal(rules_about(config, "openat"), "");
        json_decref(config);
        assert_int_equal(apply_to(CLOSED, ", \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/x\"}"), -EPERM);
        assert_int_equal(apply_to(CLOSED, ", \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": 1}"), -EINVAL);
        assert_int_equal(apply_to(CLOSED, ", \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"openat\"], \"action\": "
                                  "\"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 2}]}]}"), -EPERM);
}

static void policy(void **state)
{
        struct fgi_oci_policy p = {0};
        struct fg_error err = {0};
        struct fgi_oci_call call = {.without_cgroups = true};
        assert_int_equal(fgi_oci_policy_line(&p, "open-gate = on", &err), 0);
        assert_true(p.gate);
        assert_int_equal(fgi_oci_policy_line(&p, "gate-nodes = /dev/dri/renderD128 /dev/kfd", &err), 0);
        assert_string_equal(p.nodes, "/dev/dri/renderD128 /dev/kfd");
        assert_int_equal(fgi_oci_policy_line(&p, "open-gate = yes", &err), -EINVAL);
        assert_int_equal(fgi_oci_policy_line(&p, "gate-nodes = /dev/kfd /etc/passwd", &err), -EINVAL);
        assert_non_null(strstr(err.text, "\"/etc/passwd\""));
        assert_int_equal(fgi_oci_gate_refuse_call(&call, &err), -EPERM);
}

static int refuse(json_t *config)
{
        struct fg_error err = {0};
        int r = fgi_oci_gate_refuse_others(config, "/dev/zero", &err);
        assert_true(r == 0 || err.text[0]);
        json_decref(config);
        return r;
}

/* Containers that ask for no vGPU. */
static void others(void **state)
{
        assert_int_equal(refuse(json_loads("{\"mounts\": [{\"destination\": \"/run/fastgpu-vgpu\"}]}", 0, NULL)), -EPERM);
        assert_int_equal(refuse(json_loads("{\"mounts\": [{\"destination\": \"/run\"}]}", 0, NULL)), 0);
        assert_int_equal(refuse(make(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 1, \"minor\": 3, \"access\": \"rwm\"}", "")), 0);
        assert_int_equal(refuse(make(CLOSED ", {\"allow\": true, \"type\": \"c\", \"access\": \"m\"}", "")), 0);
        assert_int_equal(refuse(make(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 195, \"minor\": 0, \"access\": \"rwm\"}", "")), -EPERM);
        assert_int_equal(refuse(make("{\"allow\": true, \"type\": \"c\", \"major\": 195, \"minor\": 0, \"access\": \"rwm\"}", "")), -EPERM);
        assert_int_equal(refuse(make(CLOSED ", {\"allow\": true, \"type\": \"c\", \"major\": 1, \"minor\": 5, \"access\": \"r\"}", "")), -EPERM);
        assert_int_equal(refuse(make(CLOSED ", {\"allow\": true, \"type\": \"c\", \"access\": \"rwm\"}", "")), -EPERM);
        assert_int_equal(refuse(make("{\"allow\": true, \"type\": \"c\", \"access\": \"rwm\"}", "")), -EPERM);
#define HOOK(value) json_loads("{\"hooks\": {\"prestart\": [{\"path\": \"/usr/bin/nvidia-container-runtime-hook\"}]}, \"process\": {\"env\": " \
                               "[\"NVIDIA_VISIBLE_DEVICES=" value "\"]}}", 0, NULL)
        assert_int_equal(refuse(HOOK("all")), -EPERM);
        assert_int_equal(refuse(HOOK("void")), 0);
        assert_int_equal(refuse(json_loads("{\"process\": {\"env\": [\"NVIDIA_VISIBLE_DEVICES=all\"]}}", 0, NULL)), 0); /* an image's, without --gpus */
        /* Opened again behind what closed it: no --privileged. */
        assert_int_equal(refuse(make(CLOSED ", {\"allow\": true, \"type\": \"a\", \"access\": \"rwm\"}", "")), -EPERM);
        assert_int_equal(refuse(make("{\"allow\": true, \"access\": \"rwm\"}", "")), 0);
        assert_int_equal(refuse(make("{\"allow\": true, \"type\": \"a\"}", "")), 0);
        assert_int_equal(refuse(make("", "")), 0);
}

static int parse(const char *text, struct fgi_gate_box *ret)
{
        struct fg_error err = {0};
        int r = fgi_gate_parse(text, strlen(text), ret, &err);
        assert_true(r == 0 || err.text[0]);
        return r;
}

#define GRANT(text) "{\"fds\": [\"seccompFd\"], \"pid\": 7, \"metadata\": \"" text "\"}"

static void messages(void **state)
{
        struct fgi_gate_box box = {0};
        assert_int_equal(parse(GRANT("{\\\"target\\\":\\\"red:q/1\\\",\\\"nodes\\\":[\\\"/dev/a\\\",\\\"/dev/dri/b\\\"]}"), &box), 0);
        assert_string_equal(box.project, "red");
        assert_string_equal(box.name, "q");
        assert_string_equal(box.target, "red:q/1");
        assert_true(box.nodes == 2 && strcmp(box.node[1], "/dev/dri/b") == 0);
        assert_int_equal(parse(GRANT("{\\\"target\\\":\\\"../q\\\",\\\"nodes\\\":[]}"), &box), -EINVAL);
        assert_int_equal(parse(GRANT("{\\\"target\\\":\\\"q\\\",\\\"nodes\\\":[\\\"/etc/shadow\\\"]}"), &box), -EINVAL);
        assert_int_equal(parse(GRANT("{\\\"target\\\":\\\"q\\\"}"), &box), -EINVAL);
        assert_int_equal(parse("{\"fds\": [\"seccompFd\"]}", &box), -EINVAL);
        assert_int_equal(parse("{\"fds\": [\"other\"], \"metadata\": \"{}\"}", &box), -EINVAL);
        assert_int_equal(parse("[]", &box), -EINVAL);
        assert_int_equal(parse("{\"fds\": [\"seccompFd\"], \"meta", &box), -EAGAIN);
        assert_int_equal(parse("", &box), -EAGAIN);
        /* It comes in pieces, which end wherever they do. */
        static const char whole[] = "{\"x\": [true, null, 1.5e3, \"\\u00e4\\\\ \xc3\xa4\"], \"fds\": [\"seccompFd\"], \"metadata\": "
                                    "\"{\\\"target\\\":\\\"q\\\",\\\"nodes\\\":[]}\"}";
        struct fg_error err = {0};
        for (size_t size = 0; size < sizeof whole - 1; size++)
                assert_int_equal(fgi_gate_parse(whole, size, &box, &err), -EAGAIN);
        assert_int_equal(parse(whole, &box), 0);
        assert_string_equal(box.name, "q"); /* untouched by what failed */
        static const char answer[] = "{\"vgpus\": [{\"usage\": {\"pids\": []}}, {\"usage\": {\"pids\": [3, 17]}}]}";
        assert_true(fgi_gate_is_attached(answer, sizeof answer - 1, 17));
        assert_false(fgi_gate_is_attached(answer, sizeof answer - 1, 1));
        assert_false(fgi_gate_is_attached("", 0, 17));
}

static bool call(uint32_t arch, int nr, struct fgi_gate_call *ret)
{
        const struct seccomp_data data = {.arch = arch, .nr = nr, .args = {100, 101, 102}};
        return fgi_gate_call(&data, ret);
}

/* Of a call whose third argument they are. */
static int flags(uint32_t arch, int nr, int given)
{
        const struct seccomp_data data = {.arch = arch, .nr = nr, .args = {0, 0, (uint64_t)given}};
        struct fgi_gate_call c;
        return fgi_gate_call(&data, &c) ? c.flags : -1;
}

static void calls(void **state)
{
        struct fgi_gate_call c;
        assert_true(call(AUDIT_ARCH_X86_64, 2, &c) && c.path == 100 && c.flags == 101);
        assert_true(call(AUDIT_ARCH_X86_64, 257, &c) && c.path == 101 && c.flags == 102);
        assert_true(call(AUDIT_ARCH_X86_64, 0x40000000 | 257, &c) && c.path == 101);
        assert_true(call(AUDIT_ARCH_I386, 5, &c) && c.path == 100);
        assert_true(call(AUDIT_ARCH_I386, 295, &c) && c.path == 101);
        assert_true(call(AUDIT_ARCH_AARCH64, 56, &c) && c.path == 101);
        assert_false(call(AUDIT_ARCH_X86_64, 5, &c));
        assert_false(call(AUDIT_ARCH_AARCH64, 257, &c));
        /* As 32-bit programs and musl open; the other family's bit is a flag that counts (O_NOFOLLOW). */
        const int x86 = 0100000, arm = 0400000, both = x86 | arm;
        assert_int_equal(flags(AUDIT_ARCH_X86_64, 257, O_RDWR | both), O_RDWR | arm);
        assert_int_equal(flags(AUDIT_ARCH_I386, 295, O_RDWR | both), O_RDWR | arm);
        assert_int_equal(flags(AUDIT_ARCH_AARCH64, 56, O_RDWR | both), O_RDWR | x86);
        assert_int_equal(flags(AUDIT_ARCH_ARM, 322, O_RDWR | both), O_RDWR | x86);
        /* A path may end where the memory does. */
        char path[FGI_GATE_PATH_MAX];
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(map != MAP_FAILED && munmap(map + page, page) == 0);
        strcpy(map + page - 10, "/dev/null");
        assert_int_equal(fgi_gate_read_path(getpid(), (uintptr_t)(map + page - 10), path), 0);
        assert_string_equal(path, "/dev/null");
        map[page - 1] = 'x';
        assert_int_equal(fgi_gate_read_path(getpid(), (uintptr_t)(map + page - 10), path), -ENAMETOOLONG);
        memset(map, 'x', page);
        assert_int_equal(fgi_gate_read_path(getpid(), (uintptr_t)map, path), -ENAMETOOLONG);
        assert_int_equal(fgi_gate_read_path(getpid(), (uintptr_t)(map + page), path), -EFAULT);
        assert_int_equal(fgi_gate_read_path(getpid(), 0, path), -EFAULT);
        assert_int_equal(fgi_gate_read_path(getpid(), UINT64_MAX - 2, path), -EFAULT);
        munmap(map, page);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rules), cmocka_unit_test(profiles), cmocka_unit_test(policy), cmocka_unit_test(others), cmocka_unit_test(messages), cmocka_unit_test(calls),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
