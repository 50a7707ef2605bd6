/* SPDX-License-Identifier: Apache-2.0
 * Where the runner's own cgroups are: /proc/self/mountinfo says where a hierarchy is mounted, /proc/self/cgroup where in it we are. */
#include "runner/group_find.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether the comma-separated list has the word. */
static bool has_word(const char *list, const char *word)
{
        size_t length = strlen(word);
        for (const char *at = list; (at = strstr(at, word)); at += length)
                if ((at == list || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
                        return true;
        return false;
}

/* Our place: of a line "8:pids:/a/b" or "0::/a/b". */
static int find_place(const char *controller, char *ret, size_t size)
{
        char line[4096 + 256];
        int r = -ENOENT;
        FILE *file = fopen("/proc/self/cgroup", "re");
        if (!file)
                return -errno;
        while (r < 0 && fgets(line, sizeof line, file)) {
                line[strcspn(line, "\n")] = 0;
                char *list = strchr(line, ':'), *place = list ? strchr(list + 1, ':') : NULL;
                if (!place)
                        continue;
                *place++ = 0;
                if (controller ? has_word(list + 1, controller) : !list[1])
                        r = snprintf(ret, size, "%s", place) < (int)size ? 0 : -ENAMETOOLONG;
        }
        fclose(file);
        return r;
}

/* Of a line "36 35 98:0 ROOT POINT OPTIONS … - TYPE SOURCE SUPER": the first that has the hierarchy. */
static int find_mount(const char *controller, char root[1024], char point[1024])
{
        char line[8192], type[32], super[1024];
        int r = -ENOENT;
        FILE *file = fopen("/proc/self/mountinfo", "re");
        if (!file)
                return -errno;
        while (r < 0 && fgets(line, sizeof line, file)) {
                const char *rest = strstr(line, " - ");
                if (!rest || sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2 ||
                    sscanf(rest + 3, "%31s %*s %1023s", type, super) != 2)
                        continue;
                if (controller ? strcmp(type, "cgroup") == 0 && has_word(super, controller) : strcmp(type, "cgroup2") == 0)
                        r = 0;
        }
        fclose(file);
        return r;
}

int fgr_group_find(const char *controller, char *ret, size_t size)
{
        char root[1024], point[1024], place[1024];
        int r = find_mount(controller, root, point);
        if (r == 0)
                r = find_place(controller, place, sizeof place);
        if (r < 0)
                return r;
        /* A container sees a part of the hierarchy; our place is told from the root of all. */
        const char *below = place;
        size_t length = strlen(root);
        if (strcmp(root, "/") != 0)
                below = strncmp(place, root, length) == 0 && (place[length] == '/' || !place[length]) ? place + length : "";
        if (strstr(below, "/.."))
                return -ENOENT;
        if (strcmp(below, "/") == 0)
                below = "";
        return snprintf(ret, size, "%s%s", point, below) < (int)size ? 0 : -ENAMETOOLONG;
}
