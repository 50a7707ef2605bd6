/* SPDX-License-Identifier: Apache-2.0
 *
 * CUDA_VISIBLE_DEVICES speaks of vGPUs; the driver would take it for physical devices. While the driver's cuInit runs, which is
 * when it reads the variable, the environment holds another value: the physical devices of the visible vGPUs, by UUID, each
 * once, in the program's order. That rather than none at all, because
 *  - device numbers are then equal on both sides unless vGPUs share a device, so that what goes round the hooks (export
 *    tables, which the runtime library uses) means the right device;
 *  - the program's neighbours' devices do not exist for the driver either, whatever way it is asked;
 *  - a MIG instance is only found by naming it.
 *
 * Other threads may read the environment meanwhile. Every change here is one store of a pointer, and nothing that was ever
 * reachable through `environ` is freed, so that they find the one value or the other. setenv() in another thread at that very
 * moment is undefined behaviour in any program; here it costs at most that thread's change. */
#include "shim/cuda/visible.h"
#include "shim/cuda/device.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern char **environ;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below; no driver call is made under it */
static unsigned depth; /* threads between begin and end */
static unsigned *chosen;
static unsigned chosen_count;
static char *shown;     /* our entry in the environment; NULL: none */
static char *hidden;    /* the program's, which it replaced; NULL: there was none */
static char **replaced; /* the environment without our entry, where the whole array had to be replaced */
static void *kept[2];   /* the latest entry and array: for leak checkers, which look for what nobody points to */

void fgc_uuid_text(const char *prefix, const uint8_t uuid[16], char ret[FGC_UUID_TEXT])
{
        int length = snprintf(ret, FGC_UUID_TEXT, "%s", prefix);
        for (int i = 0; i < 16; i++)
                length += snprintf(ret + length, FGC_UUID_TEXT - length, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                                   uuid[i]);
}

/* The vGPU whose UUID begins with the `length` characters at `text`; -1: none, or more than one. */
static int find_uuid(const char *text, size_t length, unsigned count, const uint8_t (*uuid)[16])
{
        char full[FGC_UUID_TEXT];
        int found = -1;
        for (unsigned i = 0; i < count; i++) {
                fgc_uuid_text("GPU-", uuid[i], full);
                if (length > strlen(full) || strncasecmp(full, text, length) != 0)
                        continue;
                if (found >= 0)
                        return -1;
                found = (int)i;
        }
        return found;
}

/* As strtoul(): what follows the digits does not matter, and no digits is no device. */
static int find_position(const char *text, size_t length, unsigned count)
{
        unsigned long value = 0;
        size_t i = length && text[0] == '+';
        if (i == length || !isdigit((unsigned char)text[i]))
                return -1;
        for (; i < length && isdigit((unsigned char)text[i]); i++)
                if ((value = value * 10 + (text[i] - '0')) >= count)
                        return -1;
        return (int)value;
}

/* One entry without the blanks around it; returns where the next begins, NULL: this was the last. */
static const char *next_entry(const char *text, const char **ret, size_t *ret_length)
{
        size_t length = strcspn(text, ",");
        const char *next = text[length] ? text + length + 1 : NULL;
        while (length && isspace((unsigned char)*text))
                text++, length--;
        while (length && isspace((unsigned char)text[length - 1]))
                length--;
        *ret = text;
        *ret_length = length;
        return next;
}

unsigned fgc_visible_parse(const char *text, unsigned count, const uint8_t (*uuid)[16], unsigned *ret)
{
        unsigned found = 0;
        if (!text) {
                for (; found < count; found++)
                        ret[found] = found;
                return found;
        }
        bool by_uuid = strncmp(text + strspn(text, " \t"), "GPU-", 4) == 0; /* the first entry says which; no mixture */
        while (text) {
                const char *entry;
                size_t length;
                text = next_entry(text, &entry, &length);
                bool is_uuid = length >= 4 && strncmp(entry, "GPU-", 4) == 0;
                int position = is_uuid != by_uuid ? -1
                               : is_uuid          ? find_uuid(entry, length, count, uuid)
                                                  : find_position(entry, length, count);
                if (position < 0)
                        break;
                for (unsigned i = 0; i < found; i++)
                        if (ret[i] == (unsigned)position)
                                return 0;
                ret[found++] = (unsigned)position;
        }
        return found;
}

unsigned fgc_visible_count(void)
{
        return chosen_count;
}

unsigned fgc_visible_at(unsigned position)
{
        return chosen[position];
}

static void choose(const struct fg_session *session, const char *text)
{
        uint8_t(*uuid)[16] = calloc(session->count, sizeof *uuid);
        free(chosen);
        chosen = calloc(session->count, sizeof *chosen);
        chosen_count = 0;
        if (uuid && chosen) {
                for (unsigned i = 0; i < session->count; i++)
                        memcpy(uuid[i], session->vgpu[i].ledger.limits->uuid, sizeof uuid[i]);
                chosen_count = fgc_visible_parse(text, session->count, uuid, chosen);
        }
        free(uuid);
}

/* The driver's name of the device below, from the key "cuda/GPU-…"; NULL: not a key of ours. */
static const char *driver_name(const struct fg_session *session, unsigned position)
{
        const char *key = session->vgpu[chosen[position]].ledger.limits->device_key;
        return strncmp(key, "cuda/", 5) == 0 ? key + 5 : NULL;
}

/* "CUDA_VISIBLE_DEVICES=GPU-…,GPU-…"; NULL: out of memory. */
static char *compose(const struct fg_session *session)
{
        char *text = malloc(sizeof FGC_VISIBLE_ENV + 1 + chosen_count * FG_KEY_MAX);
        if (!text)
                return NULL;
        char *list = text + sprintf(text, "%s=", FGC_VISIBLE_ENV), *end = list;
        *list = '\0';
        for (unsigned i = 0; i < chosen_count; i++) {
                const char *name = driver_name(session, i);
                if (name && !strstr(list, name))
                        end += sprintf(end, "%s%s", end == list ? "" : ",", name);
        }
        return text;
}

static char **find_entry(const char *exact)
{
        const size_t length = sizeof FGC_VISIBLE_ENV - 1;
        for (char **e = environ; e && *e; e++)
                if (exact ? *e == exact : strncmp(*e, FGC_VISIBLE_ENV, length) == 0 && (*e)[length] == '=')
                        return e;
        return NULL;
}

static void show(char *entry)
{
        char **slot = find_entry(NULL);
        hidden = slot ? *slot : NULL;
        replaced = NULL;
        if (!slot) {
                size_t count = 0;
                while (environ && environ[count])
                        count++;
                char **larger = calloc(count + 2, sizeof *larger);
                if (!larger)
                        return;
                if (count)
                        memcpy(larger, environ, count * sizeof *larger);
                larger[count] = entry;
                replaced = environ;
                kept[1] = larger;
                __atomic_store_n(&environ, larger, __ATOMIC_RELEASE);
        } else {
                __atomic_store_n(slot, entry, __ATOMIC_RELEASE);
        }
        kept[0] = shown = entry;
}

static void unshow(void)
{
        char **slot = shown ? find_entry(shown) : NULL;
        shown = NULL;
        if (!slot)
                return;
        if (hidden) {
                __atomic_store_n(slot, hidden, __ATOMIC_RELEASE);
        } else if (!slot[1]) { /* ours is still the last one: nobody touched the array */
                __atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
                if (replaced)
                        __atomic_store_n(&environ, replaced, __ATOMIC_RELEASE);
        } else {
                for (; *slot; slot++)
                        __atomic_store_n(slot, slot[1], __ATOMIC_RELEASE);
        }
}

/* In a forked child: another thread of the parent may have been in between. */
static void forked(void)
{
        lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        depth = 0;
        unshow();
        fgc_devices_forget();
}

void fgc_visible_begin(const struct fg_session *session)
{
        static bool watching;
        pthread_mutex_lock(&lock);
        if (!watching)
                watching = pthread_atfork(NULL, NULL, forked) == 0;
        if (depth++ == 0 && fgc_vgpu_count == 0) {
                choose(session, getenv(FGC_VISIBLE_ENV));
                char *entry = compose(session);
                if (entry)
                        show(entry);
        }
        pthread_mutex_unlock(&lock);
}

void fgc_visible_end(void)
{
        pthread_mutex_lock(&lock);
        if (--depth == 0)
                unshow();
        pthread_mutex_unlock(&lock);
}
