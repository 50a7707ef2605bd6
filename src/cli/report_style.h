/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_REPORT_STYLE_H
#define CLI_REPORT_STYLE_H

extern const char cli_report_style[]; /* CSS */

#endif
