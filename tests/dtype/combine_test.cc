// combine, scale and divide: every type, operation, number of sources, length and alignment, in place and not, on every
// instruction set this processor has, bit for bit against the scalar reference, with guard bytes around the output.
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "lib/dtype/kernels.h"
#include "tests/catch.h"
#include "tests/dtype/reference.h"

using namespace tutti;
using namespace tutti::reference;

namespace {

constexpr size_t kCounts[] = {0, 1, 3, 7, 15, 16, 17, 63, 64, 65, 1000, 4099};
constexpr size_t kSourceCounts[] = {1, 2, 3, 5, 8, 64};
constexpr size_t kGuardBytes = 64;
constexpr std::byte kPoison{0xa5};

// `bytes` bytes at an address `offset` past one of alignment 64, between guards.
class Guarded {
 public:
  Guarded(size_t bytes, size_t offset) : bytes_(bytes), all_(bytes + offset + 64 + 2 * kGuardBytes, kPoison) {
    const auto address = reinterpret_cast<uintptr_t>(all_.data()) + kGuardBytes;
    at_ = kGuardBytes + (64 - address % 64) % 64 + offset;
  }
  std::byte* data() { return all_.data() + at_; }
  bool guards_intact() const {
    for (size_t i = 0; i < all_.size(); ++i) {
      if ((i < at_ || i >= at_ + bytes_) && all_[i] != kPoison) return false;
    }
    return true;
  }

 private:
  size_t bytes_, at_;
  std::vector<std::byte> all_;
};

// isa < 0: through the public door.
void run_combine(int isa, std::byte* dst, const std::vector<const std::byte*>& sources, size_t count, Type type, Op op) {
  if (isa < 0 || sources.size() == 1) {
    combine(dst, sources, count, type, op);
  } else {
    supported_kernels().tables[isa]->combine[static_cast<int>(type)][static_cast<int>(op)](dst, sources.data(),
                                                                                           sources.size(), count);
  }
}

void check_combine(std::mt19937_64& random, Type type, Op op, size_t source_count, size_t count) {
  const size_t bytes = count * size_of(type);
  std::vector<std::vector<std::byte>> inputs;
  for (size_t k = 0; k < source_count; ++k) inputs.push_back(random_elements(random, type, count));
  std::vector<std::byte> expected(bytes);
  std::vector<const std::byte*> sources(source_count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = 0; k < source_count; ++k) sources[k] = inputs[k].data() + i * size_of(type);
    combine_one(expected.data() + i * size_of(type), sources, type, op);
  }
  const int in_place_choices[] = {-1, 0, static_cast<int>(source_count) - 1, static_cast<int>(random() % source_count)};
  for (int isa = -1; isa < supported_kernels().count; ++isa) {
    for (const int in_place : in_place_choices) {
      std::vector<Guarded> buffers;
      for (size_t k = 0; k < source_count; ++k) {
        buffers.emplace_back(bytes, random() % 64);
        if (bytes > 0) std::memcpy(buffers[k].data(), inputs[k].data(), bytes);
        sources[k] = buffers[k].data();
      }
      Guarded separate(bytes, random() % 64);
      Guarded& out = in_place < 0 ? separate : buffers[static_cast<size_t>(in_place)];
      run_combine(isa, out.data(), sources, count, type, op);
      const bool right = bytes == 0 || std::memcmp(out.data(), expected.data(), bytes) == 0;
      bool intact = separate.guards_intact();
      for (size_t k = 0; k < source_count; ++k) {
        intact = intact && buffers[k].guards_intact();
        if (static_cast<int>(k) == in_place || bytes == 0) continue;
        intact = intact && std::memcmp(buffers[k].data(), inputs[k].data(), bytes) == 0;
      }
      if (right && intact) continue;
      size_t first = 0;
      while (first < bytes && out.data()[first] == expected[first]) ++first;
      FAIL(name_of(type) << " " << name_of(op) << " sources " << source_count << " count " << count << " in place "
                         << in_place << " isa " << isa << ": element " << first / size_of(type) << " of the result"
                         << (intact ? "" : ", and bytes elsewhere were written"));
    }
  }
}

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <typename T>
std::vector<T> combined(Type type, Op op, const std::vector<T>& a, const std::vector<T>& b) {
  const auto left = bytes_of(a), right = bytes_of(b);
  const std::byte* sources[] = {left.data(), right.data()};
  std::vector<T> out(a.size());
  combine(reinterpret_cast<std::byte*>(out.data()), sources, a.size(), type, op);
  return out;
}

}  // namespace

TEST_CASE("combine agrees with the reference bit for bit") {
  std::mt19937_64 random(seed());
  for (const Type type : kAllTypes) {
    DYNAMIC_SECTION(name_of(type)) {
      for (const Op op : kAllOps) {
        for (const size_t source_count : kSourceCounts) {
          for (const size_t count : kCounts) check_combine(random, type, op, source_count, count);
        }
      }
      SUCCEED();
    }
  }
}

TEST_CASE("all pairs of fp8 codes, every operation") {
  for (const Type type : {Type::F8E4M3, Type::F8E5M2}) {
    std::vector<std::byte> a, b;
    for (int i = 0; i < 256; ++i) {
      for (int k = 0; k < 256; ++k) {
        a.push_back(static_cast<std::byte>(i));
        b.push_back(static_cast<std::byte>(k));
      }
    }
    for (const Op op : kAllOps) {
      for (int isa = -1; isa < supported_kernels().count; ++isa) {
        std::vector<std::byte> out(a.size());
        run_combine(isa, out.data(), {a.data(), b.data()}, a.size(), type, op);
        size_t wrong = 0;
        for (size_t i = 0; i < a.size(); ++i) {
          std::byte expected;
          combine_one(&expected, {&a[i], &b[i]}, type, op);
          wrong += out[i] != expected;
        }
        INFO(name_of(type) << " " << name_of(op) << " isa " << isa);
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("several sources are rounded once, not at every step") {
  // 256 + 1 + 1: in bf16 (8 bits) 257 rounds back to 256, so rounding each step would end at 256.
  std::array<std::byte, 2> terms[3], sum;
  from_double(terms[0].data(), Type::BF16, 256);
  from_double(terms[1].data(), Type::BF16, 1);
  from_double(terms[2].data(), Type::BF16, 1);
  const std::byte* sources[] = {terms[0].data(), terms[1].data(), terms[2].data()};
  combine(sum.data(), sources, 1, Type::BF16, Op::Sum);
  CHECK(to_double(sum.data(), Type::BF16) == 258);
}

TEST_CASE("integers wrap around") {
  CHECK(combined<int8_t>(Type::I8, Op::Sum, {127, -128}, {1, -1}) == std::vector<int8_t>{-128, 127});
  CHECK(combined<uint8_t>(Type::U8, Op::Prod, {255, 16}, {255, 16}) == std::vector<uint8_t>{1, 0});
  CHECK(combined<int32_t>(Type::I32, Op::Prod, {65536, 2147483647}, {65536, 2}) == std::vector<int32_t>{0, -2});
  CHECK(combined<uint64_t>(Type::U64, Op::Sum, {~uint64_t{0}}, {2}) == std::vector<uint64_t>{1});
  CHECK(combined<int64_t>(Type::I64, Op::Max, {-1}, {1}) == std::vector<int64_t>{1});
  CHECK(combined<uint64_t>(Type::U64, Op::Max, {~uint64_t{0}}, {1}) == std::vector<uint64_t>{~uint64_t{0}});
}

TEST_CASE("max and min keep NaN, and put -0 below +0 in either order") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Op op : {Op::Max, Op::Min}) {
    const auto out = combined<float>(Type::F32, op, {nan, 1, 0.0f, -0.0f}, {1, nan, -0.0f, 0.0f});
    CHECK(std::isnan(out[0]));
    CHECK(std::isnan(out[1]));
    CHECK(std::signbit(out[2]) == (op == Op::Min));
    CHECK(std::signbit(out[3]) == (op == Op::Min));
  }
}

TEST_CASE("scale multiplies and rounds once") {
  std::mt19937_64 random(seed());
  for (const Type type : kAllTypes) {
    for (const size_t count : kCounts) {
      const auto input = random_elements(random, type, count), scalar = random_elements(random, type, 1);
      const Scale factor = scale_from(scalar.data(), type);
      const size_t bytes = count * size_of(type);
      std::vector<std::byte> expected(bytes);
      for (size_t i = 0; i < bytes; i += size_of(type)) {
        combine_one(expected.data() + i, {input.data() + i, scalar.data()}, type, Op::Prod);
      }
      for (int isa = -1; isa < supported_kernels().count; ++isa) {
        for (const bool in_place : {false, true}) {
          Guarded source(bytes, random() % 64), separate(bytes, random() % 64);
          if (bytes > 0) std::memcpy(source.data(), input.data(), bytes);
          Guarded& out = in_place ? source : separate;
          if (isa < 0) {
            scale(out.data(), source.data(), count, factor);
          } else {
            supported_kernels().tables[isa]->scale[static_cast<int>(type)](out.data(), source.data(), count, factor);
          }
          INFO(name_of(type) << " count " << count << " isa " << isa);
          CHECK((bytes == 0 || std::memcmp(out.data(), expected.data(), bytes) == 0));
          CHECK((source.guards_intact() && separate.guards_intact()));
        }
      }
    }
  }
}

TEST_CASE("one over n is rounded to the type") {
  for (const Type type : kSmallTypes) {
    for (int ranks = 1; ranks <= 300; ++ranks) {
      const double expected = small_value(type, small_nearest(type, 1.0 / ranks));
      REQUIRE(scale_one_over(ranks, type).real == expected);
    }
  }
  CHECK(scale_one_over(3, Type::F32).real == static_cast<double>(1.0f / 3.0f));
  CHECK(scale_one_over(3, Type::F64).real == 1.0 / 3.0);
}

namespace {

template <typename T>
void check_divide(std::mt19937_64& random, Type type) {
  using Limits = std::numeric_limits<T>;
  using Wide = std::conditional_t<Limits::is_signed, int64_t, uint64_t>;
  for (const int divisor : {1, 2, 3, 7, 8, 100, 127, 128, 200, 255, 256, 1000, 65537, 2147483647}) {
    std::vector<T> values = {0, 1, Limits::max(), Limits::min(), static_cast<T>(Limits::max() - 1), static_cast<T>(-1)};
    for (int k = 0; k < 500; ++k) values.push_back(static_cast<T>(random() >> (random() % 64)));
    for (int k = 0; k < 200; ++k) {  // around the multiples
      values.push_back(static_cast<T>(random() % 1000 * static_cast<uint64_t>(divisor) + random() % 3 - 1));
    }
    for (int isa = -1; isa < supported_kernels().count; ++isa) {
      for (const size_t count : {values.size(), size_t{0}, size_t{1}, size_t{13}}) {
        Guarded out(count * sizeof(T), random() % 64);
        if (count > 0) std::memcpy(out.data(), values.data(), count * sizeof(T));
        if (isa < 0) {
          divide(out.data(), count, type, divisor);
        } else {
          supported_kernels().tables[isa]->divide[static_cast<int>(type)](out.data(), count, divisor);
        }
        size_t wrong = 0;
        for (size_t i = 0; i < count; ++i) {
          T result;
          std::memcpy(&result, out.data() + i * sizeof(T), sizeof(T));
          wrong += result != static_cast<T>(static_cast<Wide>(values[i]) / static_cast<Wide>(divisor));
        }
        INFO(name_of(type) << " / " << divisor << " count " << count << " isa " << isa);
        CHECK(wrong == 0);
        CHECK(out.guards_intact());
      }
    }
  }
}

}  // namespace

TEST_CASE("divide truncates towards zero") {
  std::mt19937_64 random(seed());
  check_divide<int8_t>(random, Type::I8);
  check_divide<uint8_t>(random, Type::U8);
  check_divide<int32_t>(random, Type::I32);
  check_divide<uint32_t>(random, Type::U32);
  check_divide<int64_t>(random, Type::I64);
  check_divide<uint64_t>(random, Type::U64);
  int32_t value = -7;
  divide(reinterpret_cast<std::byte*>(&value), 1, Type::I32, 2);
  CHECK(value == -3);
}

TEST_CASE("names and sizes") {
  CHECK(size_of(Type::BF16) == 2);
  CHECK(size_of(Type::F8E5M2) == 1);
  CHECK(std::string(name_of(Type::F8E4M3)) == "float8e4m3");
  CHECK(std::string(name_of(Op::Min)) == "min");
  CHECK(is_float(Type::F64));
  CHECK_FALSE(is_float(Type::U64));
  CHECK(std::string(kernel_isa()) == supported_kernels().tables[0]->isa);
}

// The same bits as combine() to one place, whatever the alignment, and nothing written beside the results.
TEST_CASE("combine writes to several places, in any way, what it writes to one") {
  std::mt19937_64 random(reference::seed());
  const std::vector<std::vector<Way>> all_ways = {
      {Way::Ahead}, {Way::Strings}, {Way::Streamed}, {Way::Plain, Way::Plain}, {Way::Streamed, Way::Plain}, {Way::Plain, Way::Streamed},
      {Way::Streamed, Way::Streamed}, {Way::Plain, Way::Strings}, {Way::Streamed, Way::Ahead}, {Way::Strings, Way::Strings},
      {Way::Plain, Way::Streamed, Way::Ahead}};
  for (int t = 0; t < kTypes; ++t)
    for (const Op op : {Op::Sum, Op::Prod, Op::Max, Op::Min})
      for (const size_t source_count : {1, 2, 3, 70})
        for (const size_t count : {0, 1, 15, 64, 1000, 4099})
          for (const std::vector<Way>& ways : all_ways) {
            const Type type = static_cast<Type>(t);
            const size_t bytes = count * size_of(type);
            std::vector<std::vector<std::byte>> inputs(source_count, std::vector<std::byte>(bytes + 64));
            std::vector<const std::byte*> sources;
            for (std::vector<std::byte>& input : inputs) {
              for (std::byte& b : input) b = static_cast<std::byte>(random());
              sources.push_back(input.data() + random() % 64);
            }
            std::vector<std::byte> expected(bytes);
            combine(expected.data(), sources, count, type, op);
            const size_t places = ways.size();
            std::vector<std::vector<std::byte>> results(places, std::vector<std::byte>(bytes + 192, std::byte{0x5a}));
            std::vector<Destination> to;
            for (size_t i = 0; i < places; ++i) to.push_back({results[i].data() + random() % 64, ways[i]});
            combine(to, sources, count, type, op);
            INFO(name_of(type) << ' ' << name_of(op) << ", " << source_count << " sources, count " << count);
            for (size_t i = 0; i < places; ++i) {
              const auto begin = results[i].begin() + (to[i].at - results[i].data()), end = begin + static_cast<ptrdiff_t>(bytes);
              REQUIRE(std::equal(expected.begin(), expected.end(), begin));
              const auto untouched = [](std::byte b) { return b == std::byte{0x5a}; };
              REQUIRE(std::all_of(results[i].begin(), begin, untouched));
              REQUIRE(std::all_of(end, results[i].end(), untouched));
            }
          }
}

TEST_CASE("combine to several places takes one of its sources for a place") {
  std::vector<float> own(5000, 1.5f), other(5000, 2.f), copy(5000);
  const std::byte* const sources[] = {reinterpret_cast<std::byte*>(own.data()), reinterpret_cast<std::byte*>(other.data())};
  const Way way = GENERATE(Way::Plain, Way::Ahead, Way::Strings, Way::Streamed);
  const Destination to[] = {{reinterpret_cast<std::byte*>(own.data()), way}, {reinterpret_cast<std::byte*>(copy.data())}};
  combine(to, sources, own.size(), Type::F32, Op::Sum);
  CHECK(std::all_of(own.begin(), own.end(), [](float f) { return f == 3.5f; }));
  CHECK(copy == own);
}
