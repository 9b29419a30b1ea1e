// Regions of code compiled for one instruction set inside files compiled for baseline x86-64.
//
// Include every header first, then open a region around the kernels: a template of another header
// that is instantiated with AVX-512 code would be a weak symbol that the linker may hand to the
// whole program. Everything inside a region has internal linkage (unnamed namespace).
#pragma once

// The inner macro turns its argument, macros in it expanded, into the pragma's text.
#define BANYAN_PRAGMA_TEXT_(text) _Pragma(#text)
#define BANYAN_PRAGMA(text) BANYAN_PRAGMA_TEXT_(text)

#define BANYAN_AVX2_FEATURES "avx2,fma,f16c,bmi2"
// clang-format off: the pragma takes one string.
#define BANYAN_AVX512_FEATURES "avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi,avx512bf16"
// clang-format on

#if defined(__clang__)
#define BANYAN_TARGET_BEGIN_AVX2 \
  BANYAN_PRAGMA(                 \
      clang attribute push(__attribute__((target(BANYAN_AVX2_FEATURES))), apply_to = function))
#define BANYAN_TARGET_BEGIN_AVX512 \
  BANYAN_PRAGMA(                   \
      clang attribute push(__attribute__((target(BANYAN_AVX512_FEATURES))), apply_to = function))
#define BANYAN_TARGET_END BANYAN_PRAGMA(clang attribute pop)
#define BANYAN_UNROLL BANYAN_PRAGMA(clang loop unroll(full))
#else
#define BANYAN_TARGET_BEGIN_AVX2  \
  BANYAN_PRAGMA(GCC push_options) \
  BANYAN_PRAGMA(GCC target(BANYAN_AVX2_FEATURES))
#define BANYAN_TARGET_BEGIN_AVX512 \
  BANYAN_PRAGMA(GCC push_options)  \
  BANYAN_PRAGMA(GCC target(BANYAN_AVX512_FEATURES))
#define BANYAN_TARGET_END BANYAN_PRAGMA(GCC pop_options)
#define BANYAN_UNROLL BANYAN_PRAGMA(GCC unroll 16)
#endif

#define BANYAN_INLINE static inline __attribute__((always_inline))
