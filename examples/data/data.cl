/* SPDX-License-Identifier: Apache-2.0
 * k-means and linear regression. Rows of a table are samples, columns are what was measured. */

/* The centre that is nearest to a sample; of equally near ones the first. */
kernel void nearest(global const real *sample, uint columns, global const real *centre, uint centres, global int *label, global real *distance)
{
        size_t row = get_global_id(0);
        global const real *s = sample + row * columns;
        real least = INFINITY;
        int best = 0;

        for (uint c = 0; c < centres; c++) {
                real sum = 0;

                for (uint i = 0; i < columns; i++) {
                        real d = s[i] - centre[c * columns + i];

                        sum += d * d;
                }
                if (sum < least) {
                        least = sum;
                        best = (int)c;
                }
        }
        label[row] = best;
        distance[row] = least;
}

/* Each centre moves to the mean of its samples, one work item a coordinate; one that has none stays. */
kernel void move(global const real *sample, uint rows, global const int *label, global real *centre)
{
        size_t c = get_global_id(0), i = get_global_id(1), columns = get_global_size(1);
        real sum = 0;
        uint count = 0;

        for (uint row = 0; row < rows; row++)
                if (label[row] == (int)c) {
                        sum += sample[row * columns + i];
                        count++;
                }
        if (count)
                centre[c * columns + i] = sum / count;
}

/* product[i][j] = sum over the rows of column i times column j: all that the normal equations need. */
kernel void products(global const real *table, uint rows, global real *product)
{
        size_t i = get_global_id(0), j = get_global_id(1), columns = get_global_size(1);
        real sum = 0;

        for (uint row = 0; row < rows; row++)
                sum += table[row * columns + i] * table[row * columns + j];
        product[i * columns + j] = sum;
}
