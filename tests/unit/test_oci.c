/* SPDX-License-Identifier: Apache-2.0
 * What fastgpu-runtime makes of an engine's arguments, of a policy and of a config.json. */
#include "unit.h"

#include "integrations/oci/oci.h"

#include <errno.h>
#include <unistd.h>

#define CALL(ret, ...)                                                       \
        do {                                                                 \
                static const char *const argv[] = {"fastgpu-runtime", __VA_ARGS__}; \
                fgi_oci_argv((int)COUNT_OF(argv), (char *const *)argv, ret); \
        } while (0)

static void arguments(void **state)
{
        struct fgi_oci_call call;
        CALL(&call, "--root", "create", "--log", "/l", "--log-format=json", "create", "--bundle", "/b", "--pid-file", "/p", "id");
        assert_true(call.makes && call.log_json);
        assert_string_equal(call.bundle, "/b");
        assert_string_equal(call.log, "/l");
        CALL(&call, "--systemd-cgroup", "run", "--detach", "-b", "/b", "id");
        assert_true(call.makes && !call.log_json && !call.log);
        assert_string_equal(call.bundle, "/b");
        CALL(&call, "create", "id");
        assert_true(call.makes && !call.bundle);
        CALL(&call, "--log", "/l", "start", "--bundle", "/b");
        assert_true(!call.makes && !call.bundle);
        CALL(&call, "--bundle");
        assert_false(call.makes);
        CALL(&call, "create", "--bundle");
        assert_true(call.makes && !call.bundle);
}

static void policies(void **state)
{
        char folder[64], path[96];
        struct fgi_oci_policy policy;
        struct fg_error err = {0};
        unit_make_folder(folder);
        snprintf(path, sizeof path, "%s/runtime.conf", folder);
        assert_int_equal(fgi_oci_policy_load(path, &policy, &err), 0);
        assert_true(policy.env && !policy.gpus[0] && !policy.runtime[0]);
        FILE *file = fopen(path, "w");
        fputs("# what is allowed\n\n env = off \nruntime=/usr/bin/crun\ngpus = red:q\n", file);
        fclose(file);
        assert_int_equal(fgi_oci_policy_load(path, &policy, &err), 0);
        assert_false(policy.env);
        assert_string_equal(policy.runtime, "/usr/bin/crun");
        assert_string_equal(policy.gpus, "red:q");
        file = fopen(path, "a");
        fputs("runtime = crun\n", file);
        fclose(file);
        assert_int_equal(fgi_oci_policy_load(path, &policy, &err), -EINVAL);
        assert_non_null(strstr(err.text, "line 6"));
        unit_remove_folder(folder);
}

static int wish(const char *text, bool env, const char *gpus, struct fgi_oci_wish *ret)
{
        struct fgi_oci_policy policy = {.env = env};
        struct fg_error err = {0};
        json_t *config = NULL;
        snprintf(policy.gpus, sizeof policy.gpus, "%s", gpus);
        assert_int_equal(fgi_oci_parse(text, strlen(text), &config, &err), 0);
        int r = fgi_oci_wish(config, &policy, ret, &err);
        json_decref(config);
        return r;
}

#define HOOK "\"hooks\": {\"prestart\": [{\"path\": \"/usr/bin/nvidia-container-runtime-hook\"}]}"

static void who_may_ask(void **state)
{
        struct fgi_oci_wish w;
        assert_int_equal(wish("{}", true, "q", &w), 0);
        assert_int_equal(wish("{\"process\": {\"env\": [\"FASTGPU_VISIBLE_DEVICES=a\", \"FASTGPU_VISIBLE_DEVICES=b/1\"]}}", true, "", &w), 1);
        assert_string_equal(w.target, "b/1");
        assert_int_equal(wish("{\"process\": {\"env\": [\"FASTGPU_VISIBLE_DEVICES=a\"]}}", false, "", &w), -EACCES);
        assert_int_equal(wish("{\"annotations\": {\"fastgpu.dev/vgpu\": \"c\"}, \"process\": {\"env\": [\"FASTGPU_VISIBLE_DEVICES=a\"]}}", false, "", &w), 1);
        assert_string_equal(w.target, "c");
        assert_int_equal(wish("{\"process\": {\"env\": [\"FASTGPU_VISIBLE_DEVICES=a,b\"]}}", true, "", &w), -EINVAL);
        assert_int_equal(wish("{\"process\": {\"env\": [\"FASTGPU_VISIBLE_DEVICES=../x\"]}}", true, "", &w), -EINVAL);
        /* An image can say what it likes: without the engine's hook nobody typed --gpus. */
        assert_int_equal(wish("{\"process\": {\"env\": [\"NVIDIA_VISIBLE_DEVICES=all\"]}}", true, "q", &w), 0);
        assert_int_equal(wish("{" HOOK ", \"process\": {\"env\": [\"NVIDIA_VISIBLE_DEVICES=all\"]}}", true, "", &w), 0);
        assert_int_equal(wish("{" HOOK ", \"process\": {\"env\": [\"NVIDIA_VISIBLE_DEVICES=void\", \"NVIDIA_VISIBLE_DEVICES=0,1\"]}}", false, "q", &w), 1);
        assert_true(strcmp(w.target, "q") == 0 && w.count == 2);
        assert_int_equal(wish("{" HOOK ", \"process\": {\"env\": [\"NVIDIA_VISIBLE_DEVICES=all\"]}}", true, "q", &w), 1);
        assert_true(strcmp(w.target, "q") == 0 && w.count == 0);
        assert_int_equal(wish("{" HOOK ", \"process\": {\"env\": [\"NVIDIA_VISIBLE_DEVICES=r/0\"]}}", true, "q", &w), 1);
        assert_true(strcmp(w.target, "r/0") == 0 && w.count == 0);
        assert_int_equal(wish("{" HOOK ", \"process\": {\"env\": [\"NVIDIA_VISIBLE_DEVICES=1,3\"]}}", true, "q", &w), -EINVAL);
}

static void what_is_put_in(void **state)
{
        struct fg_error err = {0};
        json_t *edits = json_loads("{\"env\": [\"A=new\"], \"mounts\": [{\"hostPath\": \"/etc\", \"containerPath\": \"/c\", \"options\": [\"bind\", \"ro\"]}],"
                                   " \"deviceNodes\": [{\"path\": \"/dev/null\", \"permissions\": \"rw\"}]}", 0, NULL);
        json_t *config = json_loads("{\"process\": {\"env\": [\"A=image\", \"AB=1\"]}, " HOOK ", \"mounts\": [{\"destination\": \"/c\"}]}", 0, NULL);
        json_t *wanted = json_loads("{\"process\": {\"env\": [\"AB=1\", \"A=new\"]}, \"hooks\": {\"prestart\": []}, \"mounts\": [{\"destination\": \"/c\"},"
                                    " {\"destination\": \"/c\", \"type\": \"bind\", \"source\": \"/etc\", \"options\": [\"bind\", \"ro\"]}]}", 0, NULL);
        assert_int_equal(fgi_oci_apply(config, edits, &err), 0);
        json_t *node = json_array_get(json_object_get(json_object_get(config, "linux"), "devices"), 0);
        assert_int_equal(json_integer_value(json_object_get(node, "major")), 1);
        assert_int_equal(json_integer_value(json_object_get(node, "minor")), 3);
        json_object_del(config, "linux");
        assert_true(json_equal(config, wanted));
        json_decref(config);
        config = json_loads("{\"linux\": {\"devices\": [{\"path\": \"/dev/nvidia0\"}]}}", 0, NULL);
        assert_int_equal(fgi_oci_apply(config, edits, &err), -EPERM);
        assert_non_null(strstr(err.text, "/dev/nvidia0"));
        json_decref(config);
        json_object_set_new(edits, "deviceNodes", json_pack("[{s:s}]", "path", "/dev/none"));
        config = json_object();
        assert_int_equal(fgi_oci_apply(config, edits, &err), -ENOENT);
        json_decref(config);
        json_object_set_new(edits, "mounts", json_pack("[{s:s, s:s, s:[]}]", "hostPath", "/none", "containerPath", "/c", "options"));
        config = json_object();
        assert_int_equal(fgi_oci_apply(config, edits, &err), -ENOENT);
        assert_non_null(strstr(err.text, "/none"));
        json_decref(config);
        json_decref(wanted);
        json_decref(edits);
}

static void bounds(void **state)
{
        struct fg_error err = {0};
        json_t *config = NULL;
        char deep[140];
        memset(deep, '[', sizeof deep);
        assert_int_equal(fgi_oci_parse(deep, sizeof deep, &config, &err), -E2BIG);
        char *large = malloc(FGI_OCI_CONFIG_MAX + 1);
        memset(large, ' ', FGI_OCI_CONFIG_MAX + 1);
        assert_int_equal(fgi_oci_parse(large, FGI_OCI_CONFIG_MAX + 1, &config, &err), -E2BIG);
        free(large);
        assert_int_equal(fgi_oci_parse("{\"a\": 1, \"a\": 2}", 16, &config, &err), -EINVAL);
        assert_int_equal(fgi_oci_parse("[]", 2, &config, &err), -EINVAL);
        assert_null(config);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(arguments), cmocka_unit_test(policies), cmocka_unit_test(who_may_ask),
                cmocka_unit_test(what_is_put_in), cmocka_unit_test(bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
