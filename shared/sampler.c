/* `hive-sampler-1` over a whole vocabulary at the speed of memory; shared/sampler.py says what it means and does the same
 * with numpy where this was not compiled. Both agree on every token but where a top-p or min-p border is closer than the
 * rounding of a float. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN 0x9E3779B97F4A7C15ULL
#define ID_FACTOR 0xD1B54A32D192ED03ULL
#define TWO_53 9007199254740992.0
#define RARE_NOISE 8.0
#define SLACK 0.001
#define LANES 8
#define MOST_TOP 64

#if defined(__GNUC__) && defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

typedef struct {
    float logit;
    float share;
    int32_t id;
} Candidate;

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

static uint64_t start_of(uint64_t seed, uint64_t position) { return mix(seed + position * GOLDEN); }

static uint64_t hashed(uint64_t start, int32_t id) { return mix(start ^ ((uint64_t)id * ID_FACTOR)) >> 11; }

static double noise(uint64_t hash) { return -log(-log(((double)hash + 0.5) / TWO_53)); }

/* The index of the largest logit, the lowest among equals; -1 if all are -inf or NaN. */
WIDE static int32_t largest(const float *logits, int32_t n) {
    float tops[LANES];
    float top = -INFINITY;
    int32_t i = 0;
    for (int32_t lane = 0; lane < LANES; lane++) {
        tops[lane] = -INFINITY;
    }
    for (; i + LANES <= n; i += LANES) {
        for (int32_t lane = 0; lane < LANES; lane++) {
            tops[lane] = logits[i + lane] > tops[lane] ? logits[i + lane] : tops[lane];
        }
    }
    for (int32_t lane = 0; lane < LANES; lane++) {
        top = tops[lane] > top ? tops[lane] : top;
    }
    for (; i < n; i++) {
        top = logits[i] > top ? logits[i] : top;
    }
    if (top == -INFINITY) {
        return -1;
    }
    for (i = 0; logits[i] != top; i++) {
    }
    return i;
}

/* exp(x) for x <= 0, within 2 units of a float's last place; 0 below -87 and for NaN. Without a branch, so that a
 * compiler makes lanes of it: the bits of negative floats grow as they do. */
static inline float exp_of(float x) {
    uint32_t bits, least = 0xC2AE0000u; /* -87 */
    memcpy(&bits, &x, sizeof bits);
    bits |= 0x80000000u; /* -0 for 0, and every NaN is beyond the least */
    uint32_t kept = bits <= least ? 0xFFFFFFFFu : 0u;
    bits = bits <= least ? bits : least;
    memcpy(&x, &bits, sizeof x);
    float whole = (float)(int32_t)(x * 1.44269504088896341f - 0.5f);
    float rest = x - whole * 0.693359375f - whole * -2.12194440e-4f;
    float poly = 1.9875691500e-4f;
    poly = poly * rest + 1.3981999507e-3f;
    poly = poly * rest + 8.3334519073e-3f;
    poly = poly * rest + 4.1665795894e-2f;
    poly = poly * rest + 1.6666665459e-1f;
    poly = poly * rest + 5.0000001201e-1f;
    poly = poly * rest * rest + rest + 1.0f;
    bits = (uint32_t)((int32_t)whole + 127) << 23 & kept;
    memcpy(&x, &bits, sizeof x);
    return poly * x;
}

/* shares[i] = exp(logits[i] - top); returns their sum. */
WIDE static double shares_of(const float *restrict logits, int32_t n, float top, float *restrict shares) {
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++) {
        shares[i] = exp_of(logits[i] - top);
    }
    for (int32_t i = 0; i < n; i++) {
        sum += (double)shares[i];
    }
    return sum;
}

static int descending(const void *left, const void *right) {
    const Candidate *a = left, *b = right;
    if (a->logit != b->logit) {
        return a->logit < b->logit ? 1 : -1;
    }
    return a->id < b->id ? -1 : 1;
}

/* Gumbel-max over everything: noise over 8 is rare and tells itself by the hash, so few logarithms are taken. */
static int32_t open_choice(const float *logits, int32_t n, double temperature, uint64_t start, int32_t best) {
    const uint64_t rare = (uint64_t)(exp(-exp(-RARE_NOISE)) * TWO_53 * (1 - 1e-12));
    double leading = (double)logits[best] / temperature + noise(hashed(start, best));
    float near = (float)((leading - RARE_NOISE - SLACK) * temperature);
    int32_t chosen = best;
    for (int32_t i = 0; i < n; i++) {
        uint64_t hash = hashed(start, i);
        if (logits[i] >= near || hash >= rare) {
            double score = (double)logits[i] / temperature + noise(hash);
            if (score > leading || (score == leading && i < chosen)) {
                leading = score;
                chosen = i;
            }
        }
    }
    return chosen;
}

/* The candidates whose logit is at least that of any with a share of `floor`, largest first; -1 without memory. */
static int32_t gathered(const float *logits, const float *shares, int32_t n, float floor, Candidate **out) {
    int32_t count = 0, made = 0;
    float least = INFINITY;
    for (int32_t i = 0; i < n; i++) {
        least = shares[i] >= floor && logits[i] < least ? logits[i] : least;
    }
    for (int32_t i = 0; i < n; i++) {
        count += logits[i] >= least;
    }
    *out = malloc(sizeof(Candidate) * (size_t)(count ? count : 1));
    if (*out == NULL) {
        return -1;
    }
    for (int32_t i = 0; i < n; i++) {
        if (logits[i] >= least) {
            (*out)[made].logit = logits[i];
            (*out)[made].share = shares[i];
            (*out)[made++].id = i;
        }
    }
    qsort(*out, (size_t)count, sizeof(Candidate), descending);
    return count;
}

/* A floor that at least `wanted` shares reach, by a histogram over their exponents: shares are within 0 and 1. */
static float floor_for(const float *shares, int32_t n, int32_t wanted) {
    int32_t counts[2048] = {0};
    for (int32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &shares[i], sizeof bits);
        counts[bits >> 20]++; /* sign (0), exponent, three bits of the mantissa */
    }
    int32_t seen = 0;
    for (int32_t bin = 2047; bin > 0; bin--) {
        seen += counts[bin];
        if (seen >= wanted) {
            uint32_t bits = (uint32_t)bin << 20;
            float floor;
            memcpy(&floor, &bits, sizeof floor);
            return floor;
        }
    }
    return 0.0f;
}

/* How many of the sorted candidates top-p, then min-p keep; `whole` is the sum that top-p is a part of. */
static int32_t survivors(const Candidate *sorted, int32_t count, double whole, double top_p, double min_p) {
    int32_t kept = count;
    if (top_p < 1.0) {
        double sum = 0.0;
        for (int32_t i = 0; i < count; i++) {
            sum += (double)sorted[i].share / whole;
            if (sum >= top_p) {
                kept = i + 1;
                break;
            }
        }
    }
    if (min_p > 0.0) {
        int32_t likely = 0;
        while (likely < kept && (double)sorted[likely].share >= min_p) {
            likely++;
        }
        kept = likely;
    }
    return kept > 1 ? kept : 1;
}

/* The candidates that top-k, top-p and min-p leave, sorted; -1 without memory. */
static int32_t support(const float *logits, const float *shares, int32_t n, double whole, int32_t top_k, double top_p,
                       double min_p, Candidate **out) {
    int32_t k = top_k > 0 && top_k < n ? top_k : n;
    int32_t wanted = k < 512 ? k : 512;
    for (;;) {
        float floor = floor_for(shares, n, wanted);
        int32_t count = gathered(logits, shares, n, floor, out);
        if (count < 0) {
            return -1;
        }
        int32_t usable = count < k ? count : k;
        double sum = whole;
        if (k < n) { /* top-p is a part of what top-k left */
            sum = 0.0;
            for (int32_t i = 0; i < usable; i++) {
                sum += (double)(*out)[i].share;
            }
        }
        if (k < n && usable < k) {
            wanted = n; /* fewer than k have a share at all: take everything */
        } else {
            int32_t kept = survivors(*out, usable, sum, top_p, min_p);
            if (kept < usable || usable == k || floor == 0.0f) {
                return kept;
            }
            wanted = wanted > n / 8 ? n : wanted * 8;
        }
        if (floor == 0.0f) {
            return survivors(*out, usable, sum, top_p, min_p);
        }
        free(*out);
    }
}

static int32_t narrow_choice(const float *logits, int32_t n, double temperature, int32_t top_k, double top_p,
                             double min_p, uint64_t start, int32_t best) {
    float *shares = malloc(sizeof(float) * (size_t)n);
    Candidate *candidates = NULL;
    if (shares == NULL) {
        return -1;
    }
    double whole = shares_of(logits, n, logits[best], shares);
    int32_t kept = support(logits, shares, n, whole, top_k, top_p, min_p, &candidates);
    free(shares);
    if (kept < 0) {
        return -1;
    }
    int32_t chosen = -1;
    double leading = -INFINITY;
    for (int32_t i = 0; i < kept; i++) {
        int32_t id = candidates[i].id;
        double score = (double)logits[id] / temperature + noise(hashed(start, id));
        if (score > leading || (score == leading && id < chosen)) {
            leading = score;
            chosen = id;
        }
    }
    free(candidates);
    return chosen < 0 ? best : chosen;
}

static int floats_of(PyObject *object, Py_buffer *view, int32_t *n) {
    if (PyObject_GetBuffer(object, view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    *n = (int32_t)(view->len / (Py_ssize_t)sizeof(float));
    if (*n < 1) {
        PyBuffer_Release(view);
        PyErr_SetString(PyExc_ValueError, "there are no logits");
        return -1;
    }
    return 0;
}

static PyObject *choose(PyObject *module, PyObject *args) {
    PyObject *object;
    double temperature, top_p, min_p;
    int top_k;
    unsigned long long seed, position;
    Py_buffer view;
    int32_t n, chosen;
    (void)module;
    if (!PyArg_ParseTuple(args, "OdiddKK", &object, &temperature, &top_k, &top_p, &min_p, &seed, &position) ||
        floats_of(object, &view, &n) < 0) {
        return NULL;
    }
    const float *logits = view.buf;
    Py_BEGIN_ALLOW_THREADS;
    int32_t best = largest(logits, n);
    int is_open = (top_k <= 0 || top_k >= n) && top_p >= 1.0 && min_p <= 0.0;
    if (best < 0) {
        chosen = 0;
    } else if (temperature <= 0.0) {
        chosen = best;
    } else if (is_open) {
        chosen = open_choice(logits, n, temperature, start_of(seed, position), best);
    } else {
        chosen = narrow_choice(logits, n, temperature, top_k, top_p, min_p, start_of(seed, position), best);
    }
    Py_END_ALLOW_THREADS;
    PyBuffer_Release(&view);
    return chosen < 0 ? PyErr_NoMemory() : PyLong_FromLong(chosen);
}

/* Keeps the `most` largest logits in `top`, largest first, the lower id first among equals. */
static int32_t likeliest(const float *logits, int32_t n, int32_t most, Candidate *top) {
    int32_t count = 0;
    for (int32_t i = 0; i < n; i++) {
        if (count == most && !(logits[i] > top[count - 1].logit)) {
            continue;
        }
        int32_t at = count < most ? count++ : count - 1;
        while (at > 0 && top[at - 1].logit < logits[i]) {
            top[at] = top[at - 1];
            at--;
        }
        top[at].logit = logits[i];
        top[at].id = i;
    }
    return count;
}

static PyObject *logprobs(PyObject *module, PyObject *args) {
    PyObject *object;
    int id, most;
    Py_buffer view;
    int32_t n;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oii", &object, &id, &most) || floats_of(object, &view, &n) < 0) {
        return NULL;
    }
    const float *logits = view.buf;
    float *shares = malloc(sizeof(float) * (size_t)n);
    int32_t best = largest(logits, n);
    if (shares == NULL || best < 0 || id < 0 || id >= n || most < 0 || most > MOST_TOP) {
        free(shares);
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "no such token, too many alternatives, or no logits");
        return NULL;
    }
    double whole = (double)logits[best] + log(shares_of(logits, n, logits[best], shares));
    free(shares);
    Candidate top[MOST_TOP + 1];
    int32_t count = most > 0 ? likeliest(logits, n, most, top) : 0;
    double own = (double)logits[id] - whole;
    PyBuffer_Release(&view);
    PyObject *list = PyList_New(count);
    for (int32_t i = 0; list != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("(id)", (int)top[i].id, (double)top[i].logit - whole);
        if (pair == NULL || PyList_SetItem(list, i, pair) < 0) {
            Py_CLEAR(list);
        }
    }
    return list == NULL ? NULL : Py_BuildValue("(dN)", own, list);
}

static PyMethodDef methods[] = {
    {"choose", choose, METH_VARARGS,
     "choose(logits, temperature, top_k, top_p, min_p, seed, position) -> id; logits is a buffer of float32."},
    {"logprobs", logprobs, METH_VARARGS,
     "logprobs(logits, id, most) -> (natural logarithm, the `most` likeliest as (id, natural logarithm))."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_sampler", "hive-sampler-1, compiled.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__sampler(void) { return PyModule_Create(&definition); }
