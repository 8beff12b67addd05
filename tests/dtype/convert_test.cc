// Conversions: every code of the small floats, and the rounding of fp32 and double into them, in every lane of every
// instruction set, against a search for the nearest value.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/dtype/kernels.h"
#include "tests/catch.h"
#include "tests/dtype/reference.h"

using namespace tutti;
using namespace tutti::reference;

namespace {

constexpr size_t kLanesAndTails = 16 + 8 + 4 + 3 + 16;  // full vectors and tails of every width

unsigned code_at(const std::byte* data, size_t i, Type type) {
  unsigned code = 0;
  std::memcpy(&code, data + i * size_of(type), size_of(type));
  return code;
}

// What the kernels make of an fp32: 1 * value, in all lanes at once. -1 if lanes or instruction sets differ.
int round_by_kernels(Type type, float value) {
  static std::byte ones[kTypes][2 * kLanesAndTails];
  std::byte* const source = ones[static_cast<int>(type)];
  if (source[0] == std::byte{0} && source[1] == std::byte{0}) {
    for (size_t i = 0; i < kLanesAndTails; ++i) from_double(source + i * size_of(type), type, 1.0);
  }
  Scale factor{};
  factor.type = type;
  factor.real = static_cast<double>(value);
  const KernelChoice choice = supported_kernels();
  int common = -1;
  for (int isa = 0; isa < choice.count; ++isa) {
    std::byte out[2 * kLanesAndTails];
    choice.tables[isa]->scale[static_cast<int>(type)](out, source, kLanesAndTails, factor);
    for (size_t i = 0; i < kLanesAndTails; ++i) {
      const int code = static_cast<int>(code_at(out, i, type));
      if (common == -1) common = code;
      if (code != common) return -1;
    }
  }
  return common;
}

void check_rounding(Type type, float value) {
  const unsigned expected = small_nearest(type, static_cast<double>(value));
  std::byte element[2]{};
  from_double(element, type, static_cast<double>(value));
  const int rounded = round_by_kernels(type, value);
  if (rounded == static_cast<int>(expected) && code_at(element, 0, type) == expected) return;
  INFO(name_of(type) << " of fp32 bits " << std::bit_cast<uint32_t>(value) << " = " << value);
  CHECK(rounded == static_cast<int>(expected));
  CHECK(code_at(element, 0, type) == expected);
}

}  // namespace

TEST_CASE("every code of the small floats means what the table says, and comes back") {
  for (const Type type : kSmallTypes) {
    INFO(name_of(type));
    size_t wrong = 0;
    for (unsigned code = 0; code < 1u << (8 * size_of(type)); ++code) {
      std::byte element[2], back[2];
      std::memcpy(element, &code, size_of(type));
      const double value = to_double(element, type), expected = small_value(type, code);
      from_double(back, type, value);
      if (std::isnan(expected)) {
        wrong += !std::isnan(value) || code_at(back, 0, type) != canonical_nan(type);
      } else {
        wrong += value != expected || std::signbit(value) != std::signbit(expected);
        wrong += code_at(back, 0, type) != small_nearest(type, value);
        wrong += std::isfinite(value) && code_at(back, 0, type) != code;
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("kernels carry every code through fp32 unchanged") {
  const KernelChoice choice = supported_kernels();
  for (const Type type : kSmallTypes) {
    const size_t codes = size_t{1} << (8 * size_of(type));
    std::vector<std::byte> all(codes * size_of(type)), out(all.size());
    for (size_t code = 0; code < codes; ++code) std::memcpy(all.data() + code * size_of(type), &code, size_of(type));
    const Scale one = scale_one_over(1, type);
    for (int isa = 0; isa < choice.count; ++isa) {
      for (const size_t skip : {0, 1, 2, 5}) {  // each code in another lane
        choice.tables[isa]->scale[static_cast<int>(type)](out.data() + skip * size_of(type),
                                                          all.data() + skip * size_of(type), codes - skip, one);
        size_t wrong = 0;
        for (size_t code = skip; code < codes; ++code) {
          wrong += code_at(out.data(), code, type) != small_nearest(type, small_value(type, static_cast<unsigned>(code)));
        }
        INFO(name_of(type) << " " << choice.tables[isa]->isa);
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("fp32 rounds to nearest even: halfway points, their neighbours, and the ends") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Type type : kSmallTypes) {
    const unsigned codes = 1u << (8 * size_of(type) - 1);
    for (unsigned code = 0; code + 1 < codes; ++code) {
      const double low = small_value(type, code), high = small_value(type, code + 1);
      if (!std::isfinite(low)) break;
      // Beyond the largest value: where the next one would be halfway.
      const double step = std::isfinite(high) ? high - low : low - small_value(type, code - 1);
      const auto halfway = static_cast<float>(low + step / 2);
      for (const float value : {static_cast<float>(low), halfway, std::nextafter(halfway, 0.0f),
                                std::nextafter(halfway, kInfinity), std::nextafter(static_cast<float>(low), kInfinity)}) {
        check_rounding(type, value);
        check_rounding(type, -value);
      }
    }
    const float ends[] = {std::numeric_limits<float>::max(), kInfinity, std::numeric_limits<float>::denorm_min(),
                          std::numeric_limits<float>::min(), 0.0f};
    for (const float value : ends) {
      check_rounding(type, value);
      check_rounding(type, -value);
    }
    // All kinds of NaN, those included whose low bits would carry into infinity if rounded.
    for (const uint32_t bits : {0x7f800001u, 0x7fffffffu, 0x7fc00000u, 0xff800001u, 0xffffffffu, 0x7f80ffffu}) {
      check_rounding(type, std::bit_cast<float>(bits));
    }
  }
}

TEST_CASE("fp32 rounds to nearest even: a walk over all bit patterns") {
  for (const Type type : kSmallTypes) {
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 60013) {
      check_rounding(type, std::bit_cast<float>(static_cast<uint32_t>(bits)));
    }
  }
}

TEST_CASE("double is rounded once") {
  std::mt19937_64 random(seed());
  for (const Type type : kSmallTypes) {
    size_t wrong = 0;
    for (unsigned code = 0; code + 1 < 1u << (8 * size_of(type) - 1); ++code) {
      const double low = small_value(type, code), high = small_value(type, code + 1);
      if (!std::isfinite(high)) break;
      const double halfway = (low + high) / 2;  // rounded to fp32 first, its neighbours would be ties
      for (const double value : {halfway, std::nextafter(halfway, 0.0), std::nextafter(halfway, 1e300)}) {
        std::byte element[2];
        from_double(element, type, value);
        wrong += code_at(element, 0, type) != small_nearest(type, value);
      }
    }
    for (int k = 0; k < 20000; ++k) {
      const auto value = std::bit_cast<double>(random());
      std::byte element[2];
      from_double(element, type, value);
      wrong += code_at(element, 0, type) != small_nearest(type, value);
    }
    INFO(name_of(type));
    CHECK(wrong == 0);
  }
}

TEST_CASE("fp8 saturates, fp16 and bf16 overflow to infinity") {
  const float huge = 1e30f, infinity = std::numeric_limits<float>::infinity();
  CHECK(round_by_kernels(Type::F8E4M3, huge) == 0x7e);
  CHECK(round_by_kernels(Type::F8E4M3, -infinity) == 0xfe);
  CHECK(round_by_kernels(Type::F8E5M2, huge) == 0x7b);
  CHECK(round_by_kernels(Type::F8E5M2, -infinity) == 0xfb);
  CHECK(round_by_kernels(Type::F16, 65519.0f) == 0x7bff);
  CHECK(round_by_kernels(Type::F16, 65520.0f) == 0x7c00);
  CHECK(round_by_kernels(Type::BF16, std::numeric_limits<float>::max()) == 0x7f80);
  const std::byte e4m3_largest{0x7e}, e5m2_largest{0x7b};
  CHECK(to_double(&e4m3_largest, Type::F8E4M3) == 448.0);
  CHECK(to_double(&e5m2_largest, Type::F8E5M2) == 57344.0);
}

TEST_CASE("native types to and from double") {
  const struct {
    Type type;
    double given, expected;
  } rows[] = {
      {Type::I8, -128.9, -128},  {Type::I8, 1e9, 127},    {Type::U8, -3, 0},
      {Type::U8, 255.5, 255},    {Type::I32, -2.9, -2},   {Type::U32, 4e9, 4e9},
      {Type::I64, -1e15, -1e15}, {Type::U64, 1e19, 1e19}, {Type::F32, 0.1, static_cast<double>(0.1f)},
      {Type::F64, 0.1, 0.1},
  };
  for (const auto& row : rows) {
    std::byte element[8];
    from_double(element, row.type, row.given);
    CHECK(to_double(element, row.type) == row.expected);
  }
  std::byte element[8];
  from_double(element, Type::U64, 1e30);
  CHECK(to_double(element, Type::U64) == std::ldexp(1.0, 64));
  from_double(element, Type::I32, std::nan(""));
  CHECK(to_double(element, Type::I32) == 0);
}
