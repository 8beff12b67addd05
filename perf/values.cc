// values: see values.h.
#include "perf/values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "perf/collective.h"

namespace tutti::perf {
namespace {

constexpr size_t kTile = 1024;    // elements computed at a time: the reference stays in cache
constexpr int kProductRanks = 6;  // only these ranks draw exponents: the product of all stays within f8e4m3's normal range
constexpr size_t kProductValues = 6, kSigns = 2;
constexpr std::array<double, kProductValues> kProductPalette = {1, -1, 2, -2, 0.5, -0.5};

uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}

uint32_t key_of(uint32_t iteration, int rank) {
  return mix(mix(iteration + 0x9e3779b9U) ^ (static_cast<uint32_t>(rank) + 1));
}

template <typename T, typename Make>
void fill(void* to, uint32_t key, size_t first, size_t count, Make make) {
  T* const out = static_cast<T*>(to);
  for (size_t i = 0; i < count; ++i) out[i] = make(mix((static_cast<uint32_t>(first + i) * 0x9e3779b1U) ^ key));
}

uint64_t widened(uint32_t hash) {
  return (static_cast<uint64_t>(mix(hash + 0x85ebca6bU)) << 32) | hash;
}
// A number below `size`, which fits in 16 bits.
uint32_t below(uint32_t hash, size_t size) {
  return ((hash >> 16) * static_cast<uint32_t>(size)) >> 16;
}

// The small float formats: sign, exponent, fraction.
struct Format {
  int exponent_bits, fraction_bits;
  bool infinities;  // the highest exponent is for infinities and NaN; else only the highest encoding of all is a NaN
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
};
bool small_float(tuttiDataType_t type, Format& format) {
  switch (type) {
    case tuttiFloat16: format = {5, 10, true}; return true;
    case tuttiBfloat16: format = {8, 7, true}; return true;
    case tuttiFloat8e4m3: format = {4, 3, false}; return true;
    case tuttiFloat8e5m2: format = {5, 2, true}; return true;
    default: return false;
  }
}

float decode(const Format& format, unsigned bits) {
  const unsigned fraction_mask = (1U << format.fraction_bits) - 1, exponent_mask = (1U << format.exponent_bits) - 1;
  const unsigned fraction = bits & fraction_mask, exponent = (bits >> format.fraction_bits) & exponent_mask;
  const float sign = (bits >> (format.fraction_bits + format.exponent_bits)) & 1 ? -1.0F : 1.0F;
  if (exponent == exponent_mask && format.infinities)
    return fraction ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
  if (exponent == exponent_mask && fraction == fraction_mask) return std::numeric_limits<float>::quiet_NaN();
  const unsigned significand = exponent ? fraction | (1U << format.fraction_bits) : fraction;
  const int power = static_cast<int>(std::max(exponent, 1U)) - format.bias() - format.fraction_bits;
  return sign * std::ldexp(static_cast<float>(significand), power);
}

// REQUIRES: value is zero or a normal number of the format, exactly.
uint16_t encode(const Format& format, double value) {
  if (value == 0) return 0;
  int power;
  const double half = std::frexp(std::fabs(value), &power);  // value = half * 2^power, half in [0.5, 1)
  const auto significand = static_cast<unsigned>(std::ldexp(half, format.fraction_bits + 1));
  const unsigned fraction = significand & ((1U << format.fraction_bits) - 1);
  const unsigned exponent = static_cast<unsigned>(power - 1 + format.bias());
  const unsigned sign = value < 0 ? 1 : 0;
  return static_cast<uint16_t>(((sign << format.exponent_bits | exponent) << format.fraction_bits) | fraction);
}

}  // namespace

Values::Values(tuttiDataType_t type, bool moves, tuttiRedOp_t op, int ranks)
    : type_(type), moves_(moves), op_(op), ranks_(ranks) {
  if (moves) return;
  const bool rounds = op == tuttiSum || op == tuttiAvg;
  Format format;
  if (type == tuttiFloat32 || type == tuttiFloat64) {
    exact_ = !rounds;
    unit_roundoff_ = type == tuttiFloat32 ? std::ldexp(1.0, -24) : std::ldexp(1.0, -53);
    smallest_ = type == tuttiFloat32 ? std::numeric_limits<float>::denorm_min() : std::numeric_limits<double>::denorm_min();
  } else if (small_float(type, format)) {
    const int encodings = 1 << (1 + format.exponent_bits + format.fraction_bits);
    for (int bits = 0; bits < encodings; ++bits) decoded_.push_back(decode(format, static_cast<unsigned>(bits)));
    const int precision = format.fraction_bits + 1;
    unit_roundoff_ = std::ldexp(1.0, -precision);
    smallest_ = decoded_[1];
    if (op == tuttiProd) {
      for (const double value : kProductPalette) palette_.push_back(encode(format, value));
      return;
    }
    const int whole = std::min((1 << precision) / ranks, 1024);  // integers up to here have exact sums
    const int limit = whole ? whole : 1 << (precision - 1);
    const double unit = whole ? 1 : std::ldexp(1.0, 1 - precision);
    for (int k = -limit; k <= limit; ++k) palette_.push_back(encode(format, k * unit));
    const bool power_of_two = (ranks & (ranks - 1)) == 0;
    exact_ = !rounds || (whole && (op == tuttiSum || power_of_two));
  }
}

void Values::generate(void* to, uint32_t iteration, int rank, size_t first, size_t count) const {
  const uint32_t key = key_of(iteration, rank);
  const uint32_t odd = !moves_ && op_ == tuttiProd ? 1 : 0;  // a product of odd integers never wraps to zero
  if (!palette_.empty()) {
    const size_t choices = op_ == tuttiProd && rank >= kProductRanks ? kSigns : palette_.size();
    const uint16_t* const palette = palette_.data();
    if (size_of(type_) == 1)
      fill<uint8_t>(to, key, first, count, [=](uint32_t h) { return static_cast<uint8_t>(palette[below(h, choices)]); });
    else
      fill<uint16_t>(to, key, first, count, [=](uint32_t h) { return palette[below(h, choices)]; });
    return;
  }
  const bool real = !moves_ && (type_ == tuttiFloat32 || type_ == tuttiFloat64);
  if (real && op_ == tuttiProd) {
    const size_t choices = rank >= kProductRanks ? kSigns : kProductValues;
    const auto pick = [=](uint32_t h) { return kProductPalette[below(h, choices)]; };
    if (type_ == tuttiFloat32)
      fill<float>(to, key, first, count, [=](uint32_t h) { return static_cast<float>(pick(h)); });
    else
      fill<double>(to, key, first, count, pick);
  } else if (real && type_ == tuttiFloat32) {
    fill<float>(to, key, first, count, [](uint32_t h) { return static_cast<float>(static_cast<int32_t>(h)) * 0x1p-31F; });
  } else if (real) {
    fill<double>(to, key, first, count,
                 [](uint32_t h) { return static_cast<double>(static_cast<int64_t>(widened(h))) * 0x1p-63; });
  } else {
    switch (size_of(type_)) {
      case 1: fill<uint8_t>(to, key, first, count, [=](uint32_t h) { return static_cast<uint8_t>(h | odd); }); break;
      case 2: fill<uint16_t>(to, key, first, count, [=](uint32_t h) { return static_cast<uint16_t>(h | odd); }); break;
      case 4: fill<uint32_t>(to, key, first, count, [=](uint32_t h) { return h | odd; }); break;
      default: fill<uint64_t>(to, key, first, count, [=](uint32_t h) { return widened(h) | odd; });
    }
  }
}

size_t Values::wrong_copies(const void* data, uint32_t iteration, int rank, size_t first, size_t count) const {
  const size_t bytes = size_of(type_);
  const auto* const given = static_cast<const std::byte*>(data);
  std::array<uint64_t, kTile> expected;
  size_t wrong = 0;
  for (size_t done = 0; done < count; done += kTile) {
    const size_t tile = std::min(kTile, count - done);
    generate(expected.data(), iteration, rank, first + done, tile);
    const auto* const want = reinterpret_cast<const std::byte*>(expected.data());
    const std::byte* const have = given + done * bytes;
    if (std::memcmp(want, have, tile * bytes) == 0) continue;
    for (size_t i = 0; i < tile; ++i) wrong += std::memcmp(want + i * bytes, have + i * bytes, bytes) != 0;
  }
  return wrong;
}

size_t Values::wrong_reductions(const void* data, uint32_t iteration, size_t first, size_t count) const {
  const auto plain = [](auto value) { return static_cast<double>(value); };
  const auto decoded = [this](auto bits) { return static_cast<double>(decoded_[bits]); };
  switch (type_) {
    case tuttiInt8: return wrong_integers(static_cast<const int8_t*>(data), iteration, first, count);
    case tuttiUint8: return wrong_integers(static_cast<const uint8_t*>(data), iteration, first, count);
    case tuttiInt32: return wrong_integers(static_cast<const int32_t*>(data), iteration, first, count);
    case tuttiUint32: return wrong_integers(static_cast<const uint32_t*>(data), iteration, first, count);
    case tuttiInt64: return wrong_integers(static_cast<const int64_t*>(data), iteration, first, count);
    case tuttiUint64: return wrong_integers(static_cast<const uint64_t*>(data), iteration, first, count);
    case tuttiFloat32: return wrong_floats(static_cast<const float*>(data), iteration, first, count, plain);
    case tuttiFloat64: return wrong_floats(static_cast<const double*>(data), iteration, first, count, plain);
    case tuttiFloat16:
    case tuttiBfloat16: return wrong_floats(static_cast<const uint16_t*>(data), iteration, first, count, decoded);
    default: return wrong_floats(static_cast<const uint8_t*>(data), iteration, first, count, decoded);
  }
}

template <typename T>
size_t Values::wrong_integers(const T* data, uint32_t iteration, size_t first, size_t count) const {
  using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
  std::array<T, kTile> result, input;
  size_t wrong = 0;
  for (size_t done = 0; done < count; done += kTile) {
    const size_t tile = std::min(kTile, count - done);
    generate(result.data(), iteration, 0, first + done, tile);
    for (int rank = 1; rank < ranks_; ++rank) {
      generate(input.data(), iteration, rank, first + done, tile);
      for (size_t i = 0; i < tile; ++i) {
        const T a = result[i], b = input[i];
        switch (op_) {
          case tuttiMax: result[i] = std::max(a, b); break;
          case tuttiMin: result[i] = std::min(a, b); break;
          case tuttiProd: result[i] = static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)); break;
          default: result[i] = static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
        }
      }
    }
    for (size_t i = 0; i < tile; ++i) {
      const T want = op_ == tuttiAvg ? static_cast<T>(result[i] / static_cast<Wide>(ranks_)) : result[i];
      wrong += data[done + i] != want;
    }
  }
  return wrong;
}

template <typename T, typename Read>
size_t Values::wrong_floats(const T* data, uint32_t iteration, size_t first, size_t count, Read read) const {
  std::array<double, kTile> result, magnitude;
  std::array<T, kTile> input;
  const double share = op_ == tuttiAvg ? 1.0 / ranks_ : 1.0;
  size_t wrong = 0;
  for (size_t done = 0; done < count; done += kTile) {
    const size_t tile = std::min(kTile, count - done);
    for (int rank = 0; rank < ranks_; ++rank) {
      generate(input.data(), iteration, rank, first + done, tile);
      for (size_t i = 0; i < tile; ++i) {
        const double value = read(input[i]);
        magnitude[i] = (rank ? magnitude[i] : 0) + std::fabs(value);
        if (rank == 0)
          result[i] = value;
        else if (op_ == tuttiMax)
          result[i] = std::max(result[i], value);
        else if (op_ == tuttiMin)
          result[i] = std::min(result[i], value);
        else if (op_ == tuttiProd)
          result[i] *= value;
        else
          result[i] += value;
      }
    }
    for (size_t i = 0; i < tile; ++i) {
      const double bound = exact_ ? 0 : 2 * (ranks_ + 2) * unit_roundoff_ * magnitude[i] * share + ranks_ * smallest_;
      // Written so that a NaN is wrong.
      wrong += !(std::fabs(read(data[done + i]) - result[i] * share) <= bound);
    }
  }
  return wrong;
}

}  // namespace tutti::perf
