// Whether this program was built with AddressSanitizer or ThreadSanitizer, where a step takes about
// ten times as long: long tests scale their work by it and keep every kind of case.
#pragma once

namespace banyan::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace banyan::testing
