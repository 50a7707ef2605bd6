/* SPDX-License-Identifier: Apache-2.0
 * Logs are for the operator: one line to standard error, lower case, the exact cause. Only programs log; libraries return. */
#ifndef FG_BASE_LOG_H
#define FG_BASE_LOG_H

enum fg_log_level { FG_LOG_ERROR = 3, FG_LOG_WARNING = 4, FG_LOG_INFO = 6, FG_LOG_DEBUG = 7 };

void fg_log_set_level(int level);
/* "<4>text" for journald when its descriptor is standard error, else "fastgpud: text". */
__attribute__((format(printf, 2, 3))) void fg_log(int level, const char *format, ...);

#define fg_log_error(...)   fg_log(FG_LOG_ERROR, __VA_ARGS__)
#define fg_log_warning(...) fg_log(FG_LOG_WARNING, __VA_ARGS__)
#define fg_log_info(...)    fg_log(FG_LOG_INFO, __VA_ARGS__)
#define fg_log_debug(...)   fg_log(FG_LOG_DEBUG, __VA_ARGS__)

#endif
