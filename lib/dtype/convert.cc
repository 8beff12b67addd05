// One element to and from double, for tools, tests and scale factors: written for clearness, not for speed.
//
// The small floats are described by numbers alone. A value is rounded once, from double, to nearest even. A binade is the range between
// two powers of two. In it a code step is a fixed distance, so the value divided by that distance, rounded to a whole number, and added
// to the binade's first code, is the code. Rounding up at the binade's end gives the next binade's first code, as it should.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/dtype/dtype.h"

namespace tutti {
namespace {

struct SmallFloat {
  int code_bits, mantissa, bias;
  unsigned largest;   // code of the largest finite value
  unsigned overflow;  // code that replaces anything beyond it
  unsigned nan;
  bool infinity;
};
constexpr SmallFloat kF16{16, 10, 15, 0x7bff, 0x7c00, 0x7e00, true};
constexpr SmallFloat kBf16{16, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, true};
constexpr SmallFloat kE4m3{8, 3, 7, 0x7e, 0x7e, 0x7f, false};
constexpr SmallFloat kE5m2{8, 2, 15, 0x7b, 0x7b, 0x7e, true};

const SmallFloat& small_float(Type type) {
  switch (type) {
    case Type::F16: return kF16;
    case Type::BF16: return kBf16;
    case Type::F8E4M3: return kE4m3;
    default: return kE5m2;
  }
}

double decode(unsigned code, const SmallFloat& f) {
  const unsigned sign = 1u << (f.code_bits - 1), magnitude = code & (sign - 1);
  const int exponent = static_cast<int>(magnitude >> f.mantissa);
  const unsigned fraction = magnitude & ((1u << f.mantissa) - 1);
  double value;
  if (magnitude > f.largest) {
    const bool infinite = f.infinity && fraction == 0;
    value = infinite ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else {
    const unsigned leading = exponent > 0 ? 1u << f.mantissa : 0;
    value = std::ldexp(leading + fraction, std::max(exponent, 1) - f.bias - f.mantissa);
  }
  return (code & sign) != 0 ? -value : value;
}

unsigned encode(double value, const SmallFloat& f) {
  if (std::isnan(value)) return f.nan;
  const unsigned sign = std::signbit(value) ? 1u << (f.code_bits - 1) : 0;
  const double magnitude = std::fabs(value);
  if (magnitude >= std::ldexp(1.0, 128)) return sign | f.overflow;
  const int lowest = 1 - f.bias;
  const int binade = magnitude > 0 ? std::max(std::ilogb(magnitude), lowest) : lowest;
  const double places = std::nearbyint(std::ldexp(magnitude, f.mantissa - binade));
  const unsigned code = (static_cast<unsigned>(binade - lowest) << f.mantissa) + static_cast<unsigned>(places);
  return sign | (code > f.largest ? f.overflow : code);
}

template <typename T>
T read(const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof(T));
  return value;
}

template <typename T>
void write(std::byte* element, T value) {
  std::memcpy(element, &value, sizeof(T));
}

// Truncated, and held to T's range, where a plain conversion would be undefined.
template <typename T>
void write_integer(std::byte* element, double value) {
  const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);  // largest + 1
  T result = 0;
  if (value >= beyond) {
    result = std::numeric_limits<T>::max();
  } else if (value <= static_cast<double>(std::numeric_limits<T>::min())) {
    result = std::numeric_limits<T>::min();
  } else if (!std::isnan(value)) {
    result = static_cast<T>(value);
  }
  write(element, result);
}

}  // namespace

double to_double(const std::byte* element, Type type) {
  switch (type) {
    case Type::I8: return read<int8_t>(element);
    case Type::U8: return read<uint8_t>(element);
    case Type::I32: return read<int32_t>(element);
    case Type::U32: return read<uint32_t>(element);
    case Type::I64: return static_cast<double>(read<int64_t>(element));
    case Type::U64: return static_cast<double>(read<uint64_t>(element));
    case Type::F32: return static_cast<double>(read<float>(element));
    case Type::F64: return read<double>(element);
    case Type::F16:
    case Type::BF16: return decode(read<uint16_t>(element), small_float(type));
    case Type::F8E4M3:
    case Type::F8E5M2: return decode(read<uint8_t>(element), small_float(type));
  }
  return 0;
}

void from_double(std::byte* element, Type type, double value) {
  switch (type) {
    case Type::I8: return write_integer<int8_t>(element, value);
    case Type::U8: return write_integer<uint8_t>(element, value);
    case Type::I32: return write_integer<int32_t>(element, value);
    case Type::U32: return write_integer<uint32_t>(element, value);
    case Type::I64: return write_integer<int64_t>(element, value);
    case Type::U64: return write_integer<uint64_t>(element, value);
    case Type::F32: return write(element, static_cast<float>(value));
    case Type::F64: return write(element, value);
    case Type::F16:
    case Type::BF16: return write(element, static_cast<uint16_t>(encode(value, small_float(type))));
    case Type::F8E4M3:
    case Type::F8E5M2: return write(element, static_cast<uint8_t>(encode(value, small_float(type))));
  }
}

}  // namespace tutti
