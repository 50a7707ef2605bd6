/* SPDX-License-Identifier: Apache-2.0
 * A block of history that somebody has scribbled on: reading ends, goes forward, and what was read can be packed and read again. */
#include "daemon/history_block.h"

#include <assert.h>
#include <string.h>

#define START 1782000000ll
#define UNTIL (START + 300 * 60)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fgd_history_reader first, second;
        struct fgd_history_block block = {0};
        int64_t at, again, last = START - 60;
        fgd_history_read(&first, data, size, START, FGD_HISTORY_MINUTE, UNTIL);
        while (fgd_history_next(&first, &at)) {
                assert(at > last && at < UNTIL && at % 60 == 0);
                assert(fgd_history_block_add(&block, at, FGD_HISTORY_MINUTE, &first.row) == 0);
                last = at;
        }
        assert(fgd_history_block_close(&block) == 0);
        fgd_history_read(&first, data, size, START, FGD_HISTORY_MINUTE, UNTIL);
        fgd_history_read(&second, block.data, block.size, block.start, FGD_HISTORY_MINUTE, UNTIL);
        while (fgd_history_next(&first, &at)) {
                assert(fgd_history_next(&second, &again) && at == again);
                assert(memcmp(&first.row, &second.row, sizeof first.row) == 0);
        }
        assert(!fgd_history_next(&second, &again));
        fgd_history_block_free(&block);
        return 0;
}
