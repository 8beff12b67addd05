// float_mode: the processor's floating-point mode. Each thread has its own: flush-to-zero, a rounding, traps.
//
// All ranks must calculate alike: sums, and the prices by which they choose an algorithm. So the library calculates in the default mode
// (round to nearest, subnormal numbers kept, no traps) and afterwards restores the caller's mode and flags. A new thread inherits the mode
// of the thread that starts it.
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
  static constexpr Register kDefault = 0x1f80, kFlags = 0x3f;  // kDefault: all traps masked; kFlags: what has happened so far
  static Register get() { return _mm_getcsr(); }
  static void set(Register mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
  using Register = uint64_t;
  static constexpr Register kDefault = 0, kFlags = 0;  // the flags are in another register
  static Register get() {
    Register mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void set(Register mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#error "add how this processor reads and sets its floating-point mode"
#endif
  bool differs() const { return (callers_ & ~kFlags) != kDefault; }

  const Register callers_;
};

}  // namespace tutti
