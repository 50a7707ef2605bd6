/* SPDX-License-Identifier: Apache-2.0
 *
 * One training step is four launches. INPUTS, HIDDEN and the places of the parameters (W1, B1, W2, B2) come from the host
 * as build options. A batch is `count` places in `order`, from `first` on. */

/* One work item for each sample of the batch and hidden unit. */
kernel void hidden_forward(global const float *x, global const uint *order, uint first, global const float *p,
                           global float *hidden)
{
        uint unit = get_global_id(0), s = get_global_id(1);
        global const float *in = x + (ulong)order[first + s] * INPUTS;
        float sum = p[B1 + unit];

        for (uint i = 0; i < INPUTS; i++)
                sum += in[i] * p[W1 + i * HIDDEN + unit];
        hidden[s * HIDDEN + unit] = fmax(sum, 0.0f);
}

/* One work item for each sample of the batch. `delta` is the loss's slope at the output, over the batch's size. */
kernel void output_forward(global const float *hidden, global const float *y, global const uint *order, uint first,
                           uint count, global const float *p, global float *delta, global float *loss, global float *hit)
{
        uint s = get_global_id(0);
        float z = p[B2], label = y[order[first + s]];

        for (uint unit = 0; unit < HIDDEN; unit++)
                z += hidden[s * HIDDEN + unit] * p[W2 + unit];
        delta[s] = (1.0f / (1.0f + exp(-z)) - label) / (float)count;
        loss[first + s] = fmax(z, 0.0f) - z * label + log1p(exp(-fabs(z)));
        hit[first + s] = (z > 0.0f) == (label > 0.5f) ? 1.0f : 0.0f;
}

/* One work item for each parameter: its gradient, summed over the batch. */
kernel void gradient(global const float *x, global const uint *order, uint first, uint count, global const float *p,
                     global const float *hidden, global const float *delta, global float *slope)
{
        uint k = get_global_id(0);
        float sum = 0.0f;

        for (uint s = 0; s < count; s++) {
                global const float *h = hidden + s * HIDDEN;

                if (k >= B2) {
                        sum += delta[s];
                } else if (k >= W2) {
                        sum += delta[s] * h[k - W2];
                } else {
                        uint unit = k % HIDDEN;
                        float in = k >= B1 ? 1.0f : x[(ulong)order[first + s] * INPUTS + k / HIDDEN];

                        sum += h[unit] > 0.0f ? delta[s] * p[W2 + unit] * in : 0.0f;
                }
        }
        slope[k] = sum;
}

/* One work item for each parameter. `rate` has the bias correction in it. */
kernel void adam(global float *p, global const float *slope, global float *mean, global float *square, float rate,
                 float beta1, float beta2, float epsilon)
{
        uint k = get_global_id(0);
        float g = slope[k];

        mean[k] = beta1 * mean[k] + (1.0f - beta1) * g;
        square[k] = beta2 * square[k] + (1.0f - beta2) * g * g;
        p[k] -= rate * mean[k] / (sqrt(square[k]) + epsilon);
}
