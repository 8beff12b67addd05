// float_mode: the processor's floating-point mode, which belongs to the thread and may be any: flush-to-zero, another rounding, traps.
//
// All ranks must calculate alike: sums, and prices by which they choose. So the library calculates in the default mode (round to
// nearest, subnormal numbers kept, no traps) and gives the caller's mode back, with the flags that it had. A new thread inherits the
// mode of who starts it.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace tutti {

class DefaultFloatMode {
 public:
  DefaultFloatMode() : callers_(get()) {
    if (differs()) [[unlikely]]
      set(kDefault);
  }
  ~DefaultFloatMode() {
    if (differs()) [[unlikely]]
      set(callers_);
  }
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

 private:
#if defined(__x86_64__)
  using Register = uint32_t;
  static constexpr Register kDefault = 0x1f80, kFlags = 0x3f;  // all traps masked; flags of what has happened
  static Register get() { return _mm_getcsr(); }
  static void set(Register mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
  using Register = uint64_t;
  static constexpr Register kDefault = 0, kFlags = 0;  // its flags are in another register
  static Register get() {
    Register mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void set(Register mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#error "say here where this processor has its floating-point mode"
#endif
  bool differs() const { return (callers_ & ~kFlags) != kDefault; }

  const Register callers_;
};

}  // namespace tutti
