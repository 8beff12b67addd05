// sanitized: TUTTI_TEST_SANITIZED is defined in builds whose sanitizer has an allocator of its own, which a test cannot replace.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TUTTI_TEST_SANITIZED
#elif defined(__has_feature)  // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TUTTI_TEST_SANITIZED
#endif
#endif
