/* SPDX-License-Identifier: Apache-2.0
 * What the command prints: taken from the pipe always, so that it goes on, and kept up to the limit. */
#include "runner/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define TURN_MAX (1u << 20) /* bytes at once, so that requests are answered beside a flood; no less than a user's pipe can hold */

static void keep(struct fgr_runner *r, const char *bytes, size_t size)
{
        while (size && r->status.log < r->spec.log_max) {
                uint64_t room = r->spec.log_max - r->status.log;
                ssize_t n = write(r->log, bytes, room < size ? (size_t)room : size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break; /* the disk is full */
                r->status.log += (uint64_t)n;
                bytes += n;
                size -= (size_t)n;
        }
        r->status.dropped += size;
}

bool fgr_log_pump(struct fgr_runner *r)
{
        char buffer[65536];
        for (size_t taken = 0; taken < TURN_MAX;) {
                ssize_t n = read(r->output, buffer, sizeof buffer);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN;
                if (n == 0)
                        return false;
                keep(r, buffer, (size_t)n);
                taken += (size_t)n;
        }
        return true;
}

void fgr_log_close(struct fgr_runner *r)
{
        char line[96];
        if (!r->status.dropped)
                return;
        int length = snprintf(line, sizeof line, "\n[fastgpu: the log is full: %" PRIu64 " bytes dropped]\n", r->status.dropped);
        /* The log is no less complete without it; the status has the number. */
        if (write(r->log, line, (size_t)length) == length)
                r->status.log += (uint64_t)length;
}
