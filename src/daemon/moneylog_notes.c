/* SPDX-License-Identifier: Apache-2.0
 * Checkpoints that are kept besides the newest: the first of each day, in a file of that day's name. A log that is put back to
 * what it was, with the checkpoint of then, is not what these say; and they tell between which of them a change is. Of the last
 * KEPT_DAILY there is each, of what is older the first of a month. */
#include "daemon/moneylog_internal.h"

#include "bill/when.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER     "checkpoints"
#define KEPT_DAILY 31
#define DAY        86400

typedef char name_t[16]; /* 2026-11-26 */

static int by_name(const void *a, const void *b)
{
        return strcmp(a, b);
}

static bool is_day(const char *name)
{
        for (size_t i = 0; i < 10; i++)
                if (i == 4 || i == 7 ? name[i] != '-' : name[i] < '0' || name[i] > '9')
                        return false;
        return name[10] == '\0';
}

/* Sorted; of too many the last `most`. *ret is the caller's to free. */
static int list(int folder, size_t most, name_t **ret, size_t *ret_count)
{
        name_t *all = NULL;
        size_t count = 0, room = 0;
        int fd = openat(folder, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        if (fd >= 0 && !dir)
                close(fd);
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                if (!is_day(entry->d_name))
                        continue;
                if (count == room) {
                        room = room ? 2 * room : 64;
                        name_t *more = reallocarray(all, room, sizeof *more);
                        if (!more) {
                                free(all);
                                closedir(dir);
                                return -ENOMEM;
                        }
                        all = more;
                }
                memcpy(all[count++], entry->d_name, 11);
        }
        if (dir)
                closedir(dir);
        if (count)
                qsort(all, count, sizeof *all, by_name);
        if (count > most) {
                memmove(all, all + (count - most), most * sizeof *all);
                count = most;
        }
        *ret = all;
        *ret_count = count;
        return 0;
}

static void add_note(struct fgd_moneylog_notes *notes, const char *text)
{
        if (notes->count == FG_BILL_CHECKPOINTS)
                return;
        snprintf(notes->text[notes->count], FG_TLOG_NOTE_MAX, "%s", text);
        notes->note[notes->count] = notes->text[notes->count];
        notes->count++;
}

int fgd_moneylog_notes(int folder, const char *newest, struct fgd_moneylog_notes **ret)
{
        struct fgd_moneylog_notes *notes = calloc(1, sizeof *notes);
        fg_autofree name_t *name = NULL;
        char path[64], text[FG_TLOG_NOTE_MAX];
        size_t count = 0;
        if (!notes || list(folder, FGD_MONEYLOG_DAYS, &name, &count) < 0) {
                free(notes);
                return -ENOMEM;
        }
        if (*newest)
                add_note(notes, newest);
        fgd_moneylog_recall_note(folder, text);
        if (*text)
                add_note(notes, text);
        for (size_t i = 0; i < count; i++) {
                snprintf(path, sizeof path, FOLDER "/%s", name[i]);
                int r = fgd_moneylog_read(folder, path, text, sizeof text);
                if (r != -ENOENT) /* thrown away a moment ago */
                        add_note(notes, r < 0 ? "unreadable" : text);
        }
        *ret = notes;
        return 0;
}

int64_t fgd_moneylog_note_day(int folder)
{
        fg_autofree name_t *name = NULL;
        size_t count = 0;
        int64_t when;
        if (list(folder, 1, &name, &count) < 0 || count == 0 || fg_bill_when_parse(name[0], &when, NULL) < 0)
                return -1;
        return when / DAY;
}

/* Of days that are not among the newest: what is not the first of its month, and then the oldest. */
static void thin_out(int folder)
{
        fg_autofree name_t *name = NULL;
        size_t count = 0, left;
        if (list(folder, SIZE_MAX, &name, &count) < 0)
                return;
        left = count;
        for (int pass = 0; pass < 2; pass++)
                for (size_t i = 0; i + KEPT_DAILY < count; i++) {
                        char path[64];
                        bool is_first = i == 0 || memcmp(name[i - 1], name[i], 7) != 0;
                        if (pass == 0 ? is_first : !is_first || left <= FGD_MONEYLOG_DAYS)
                                continue;
                        snprintf(path, sizeof path, FOLDER "/%s", name[i]);
                        unlinkat(folder, path, 0);
                        left--;
                }
}

int fgd_moneylog_note_keep(struct fgd_moneylog *log, int64_t now, const char *note)
{
        char path[64], when[FG_BILL_WHEN_MAX];
        int64_t day = now / DAY;
        if (now < 0 || day <= log->day)
                return 0;
        if (mkdirat(log->folder, FOLDER, 0700) < 0 && errno != EEXIST)
                return -errno;
        fg_bill_when_format(day * DAY, when);
        snprintf(path, sizeof path, FOLDER "/%.10s", when);
        fg_autoclose int folder = openat(log->folder, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = folder < 0 ? -errno : fgd_moneylog_replace(folder, path + sizeof FOLDER, note, strlen(note));
        if (r < 0)
                return r;
        log->day = day;
        thin_out(log->folder);
        return 0;
}
