/* SPDX-License-Identifier: Apache-2.0
 * Container engines, and what they read of vGPUs: which spec counts, which is dropped and why. */
#include "cli/doctor.h"

#include "base/cleanup.h"
#include "cli/cdi_file.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KIND "fastgpu.dev/vgpu"

/* How a vGPU gets into a container of this engine: by CDI from a version on, and before it. */
static const struct engine {
        const char *program;
        unsigned major, minor;
        const char *way, *else_way;
} engine_table[] = {
        {"podman", 4, 1, "--device " KIND "=NAME", "podman --runtime fastgpu-runtime run --annotation " KIND "=NAME, or a newer podman"},
        {"dockerd", 25, 0, "--device " KIND "=NAME (before 28.2 with the feature cdi), or `fastgpu docker enable` and --runtime fastgpu",
         "`fastgpu docker enable`, then docker run $(fastgpu container NAME --for docker), or a newer Docker"},
        {"containerd", 1, 7, "CDI, or ctr run --runc-binary fastgpu-runtime", "ctr run $(fastgpu container NAME --for ctr), or a newer containerd"},
        {"crio", 1, 23, "CDI", "a newer CRI-O"},
};
/* In the order in which engines read them: the second wins. */
static const char *const folder_table[] = {"/etc/cdi", "/run/cdi"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool find_program(const char *program, char ret[PATH_MAX])
{
        static const char *const folder[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"};
        for (size_t i = 0; i < COUNT(folder); i++) {
                snprintf(ret, PATH_MAX, "%s/%s", folder[i], program);
                if (access(ret, X_OK) == 0)
                        return true;
        }
        return false;
}

/* The first number with a dot in what `PATH --version` says; false: it says none. */
static bool ask_version(const char *path, unsigned *ret_major, unsigned *ret_minor)
{
        char command[PATH_MAX + 64], line[256] = "";
        snprintf(command, sizeof command, "timeout 5 %s --version 2>/dev/null </dev/null", path);
        FILE *f = popen(command, "re");
        bool found = f && fgets(line, sizeof line, f);
        if (f)
                pclose(f);
        for (const char *c = line; found && *(c += strcspn(c, "0123456789")); c += strspn(c, "0123456789"))
                if (sscanf(c, "%4u.%4u", ret_major, ret_minor) == 2)
                        return true;
        return false;
}

static void check_engine(struct cli_report *report, const struct engine *engine, const char *path)
{
        unsigned major, minor;
        if (!ask_version(path, &major, &minor))
                cli_report_add(report, "engine", CLI_FINDING_OK, "", "%s, if it is %u.%u or newer: %s", engine->program, engine->major, engine->minor, engine->way);
        else if (major < engine->major || (major == engine->major && minor < engine->minor))
                cli_report_add(report, "engine", CLI_FINDING_WARN, engine->else_way, "%s %u.%u is too old for CDI (%u.%u): it knows no device " KIND "=NAME",
                               engine->program, major, minor, engine->major, engine->minor);
        else
                cli_report_add(report, "engine", CLI_FINDING_OK, "", "%s %u.%u: %s", engine->program, major, minor, engine->way);
}

static void check_engines(struct cli_report *report)
{
        char path[PATH_MAX];
        unsigned found = 0;
        for (size_t i = 0; i < COUNT(engine_table); i++) {
                if (!find_program(engine_table[i].program, path))
                        continue;
                found++;
                check_engine(report, &engine_table[i], path);
        }
        if (!found)
                cli_report_add(report, "engine", CLI_FINDING_OK, "", "no container engine is installed");
}

/* What the folders hold: devices of ours by name, with the file that has them. */
struct specs {
        json_t *seen; /* of one folder: name -> file */
        json_t *all;  /* of both */
        bool is_read, has_foreign;
};

static void add_devices(struct cli_report *report, const json_t *spec, const char *path, struct specs *specs)
{
        const json_t *device;
        size_t i;
        json_array_foreach(json_object_get(spec, "devices"), i, device) {
                const char *name = cli_text(device, "name"), *other = json_string_value(json_object_get(specs->seen, name));
                if (other)
                        cli_report_add(report, "cdi", CLI_FINDING_FAIL, "stop one of the two daemons, or set its option cdi-dir to none",
                                       "%s: \"%s\" is in %s as well, so engines drop it from both", path, name, other);
                json_object_set_new(specs->seen, name, json_string(path));
                json_object_set_new(specs->all, name, json_string(path));
        }
}

static void check_kind(struct cli_report *report, const char *path, const struct cli_cdi_file *file, struct specs *specs)
{
        if (strncmp(file->kind, "nvidia.com/", 11) == 0 && !specs->has_foreign) {
                specs->has_foreign = true;
                cli_report_add(report, "cdi", CLI_FINDING_WARN, "give a container one or the other: a whole GPU covers the limits of a vGPU",
                               "%s offers whole GPUs as %s", path, file->kind);
        }
        if (!file->json && !*file->kind)
                cli_report_add(report, "cdi", CLI_FINDING_WARN, "if it offers whole GPUs, give a container one or the other",
                               "%s has no line \"kind: VENDOR/CLASS\", which is all that is read of YAML", path);
        if (!file->json && strcmp(file->kind, KIND) == 0)
                cli_report_add(report, "cdi", CLI_FINDING_WARN, "remove it: fastgpud writes JSON",
                               "%s names vGPUs and is not fastgpud's; of a name that two files have, engines drop both", path);
}

static void check_spec(struct cli_report *report, const char *path, bool is_yaml, struct specs *specs)
{
        struct fg_error err = {0};
        struct cli_cdi_file file;
        int r = cli_cdi_read(path, is_yaml, &file, &err);
        if (r < 0) {
                cli_report_add(report, "cdi", CLI_FINDING_WARN, "mend or remove it", "%s is %s: %s", path, r == -EINVAL ? "dropped by engines" : "not looked at", err.text);
                return;
        }
        cli_autojson json_t *spec = file.json;
        check_kind(report, path, &file, specs);
        if (!spec || strcmp(file.kind, KIND) != 0)
                return;
        specs->is_read = true;
        cli_report_add(report, "cdi", CLI_FINDING_OK, "", "%s: %zu devices, version %s", path, json_array_size(json_object_get(spec, "devices")),
                       cli_text(spec, "cdiVersion"));
        add_devices(report, spec, path, specs);
}

static void check_folder(struct cli_report *report, const char *folder, struct specs *specs)
{
        char path[PATH_MAX];
        struct dirent *entry;
        DIR *dir = opendir(folder);
        specs->seen = json_object();
        while (dir && (entry = readdir(dir))) {
                const char *dot = strrchr(entry->d_name, '.');
                snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
                if (dot && (strcmp(dot, ".json") == 0 || strcmp(dot, ".yaml") == 0))
                        check_spec(report, path, dot[1] == 'y', specs);
        }
        if (dir)
                closedir(dir);
        json_decref(specs->seen);
}

void cli_doctor_containers(struct cli_report *report)
{
        cli_autojson json_t *all = json_object();
        struct specs specs = {.all = all};
        check_engines(report);
        for (size_t i = 0; i < COUNT(folder_table); i++)
                check_folder(report, folder_table[i], &specs);
        if (!specs.is_read)
                cli_report_add(report, "cdi", CLI_FINDING_OK, "", "engines are told of no vGPU: the system's daemon has none, or does not run");
}
