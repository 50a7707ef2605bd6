/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/simulate.h"
int cli_sim_history(char **ret, size_t *ret_len, unsigned *ret_gpus)
{
        return cli_fail(CLI_FAILED, "not yet");
}
