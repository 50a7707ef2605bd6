/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/atomic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static int max_level = FG_LOG_INFO;

void fg_log_set_level(int level)
{
        fg_store_relaxed(&max_level, level);
}

/* systemd names the stream it reads as device:inode; a child whose standard error was redirected still has the
 * variable. */
static bool journal_reads_stderr(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;
        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

/* One write(2) for the line, so that lines of several threads and processes do not mix. */
void fg_log(int level, const char *format, ...)
{
        if (level > fg_load_relaxed(&max_level))
                return;
        int saved = errno;
        char line[LINE_MAX_BYTES];
        int head = journal_reads_stderr() ? snprintf(line, sizeof(line), "<%d>", level)
                                          : snprintf(line, sizeof(line), "%.64s: ", program_invocation_short_name);
        va_list args;
        va_start(args, format);
        errno = saved;
        vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, args);
        va_end(args);
        size_t len = strlen(line);
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)line[i] < 0x20)
                        line[i] = ' ';
        line[len++] = '\n';
        ssize_t ignored = write(STDERR_FILENO, line, len);
        (void)ignored;
        errno = saved;
}
