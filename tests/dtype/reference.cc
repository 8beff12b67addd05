// The tables and the search behind reference.h.
#include "tests/dtype/reference.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>

namespace tutti::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Table {
  int bits;
  std::vector<double> values;  // of the codes without sign, finite and rising, then what is not finite
  unsigned finite;             // how many are finite
  unsigned nan;
  bool saturates;
  double ceiling;  // from here on values overflow: halfway to the value that would come next
};

Table make_table(int bits, int exponent_bits, unsigned finite, unsigned nan, bool saturates) {
  const int mantissa_bits = bits - 1 - exponent_bits;
  const int per_binade = 1 << mantissa_bits;
  Table table{bits, {}, finite, nan, saturates, 0};
  double binade = std::pow(2.0, 2 - (1 << (exponent_bits - 1)));
  for (int k = 0; k < per_binade; ++k) table.values.push_back(binade * k / per_binade);
  while (table.values.size() < size_t{1} << (bits - 1)) {
    for (int k = 0; k < per_binade; ++k) table.values.push_back(binade * (1 + static_cast<double>(k) / per_binade));
    binade *= 2;
  }
  table.ceiling = (table.values[finite - 1] + table.values[finite]) / 2;
  for (size_t code = finite; code < table.values.size(); ++code) {
    table.values[code] = !saturates && code == finite ? kInfinity : kNan;
  }
  return table;
}

const Table& table_of(Type type) {
  static const std::map<Type, Table> tables = [] {
    std::map<Type, Table> made;
    made[Type::F16] = make_table(16, 5, 0x7c00, 0x7e00, false);
    made[Type::BF16] = make_table(16, 8, 0x7f80, 0x7fc0, false);
    made[Type::F8E4M3] = make_table(8, 4, 0x7f, 0x7f, true);
    made[Type::F8E5M2] = make_table(8, 5, 0x7c, 0x7e, true);
    made[Type::F8E5M2].values[0x7c] = kInfinity;  // is read, never written
    return made;
  }();
  return tables.at(type);
}

bool is_small(Type type) {
  return is_float(type) && size_of(type) < 4;
}

unsigned read_code(const std::byte* element, Type type) {
  unsigned code = 0;
  std::memcpy(&code, element, size_of(type));
  return code;
}

template <typename T>
T fold_float(const std::vector<T>& terms, Op op) {
  T sum = terms[0];
  for (size_t k = 1; k < terms.size(); ++k) {
    const T term = terms[k];
    switch (op) {
      case Op::Sum: sum = sum + term; break;
      case Op::Prod: sum = sum * term; break;
      case Op::Max:
      case Op::Min: {
        if (std::isnan(sum) || std::isnan(term)) {
          sum = std::numeric_limits<T>::quiet_NaN();
        } else if (sum == term) {
          if (std::signbit(term) == (op == Op::Min)) sum = term;
        } else if ((sum < term) == (op == Op::Max)) {
          sum = term;
        }
      }
    }
  }
  return std::isnan(sum) ? std::numeric_limits<T>::quiet_NaN() : sum;
}

template <typename T>
void fold_integer(std::byte* dst, const std::vector<const std::byte*>& sources, Op op) {
  T result{};
  std::memcpy(&result, sources[0], sizeof(T));
  for (size_t k = 1; k < sources.size(); ++k) {
    T term{};
    std::memcpy(&term, sources[k], sizeof(T));
    const auto a = static_cast<uint64_t>(result), b = static_cast<uint64_t>(term);
    switch (op) {
      case Op::Sum: result = static_cast<T>(a + b); break;
      case Op::Prod: result = static_cast<T>(a * b); break;
      case Op::Max: result = std::max(result, term); break;
      case Op::Min: result = std::min(result, term); break;
    }
  }
  std::memcpy(dst, &result, sizeof(T));
}

template <typename T>
void fold_native(std::byte* dst, const std::vector<const std::byte*>& sources, Op op) {
  std::vector<T> terms(sources.size());
  for (size_t k = 0; k < sources.size(); ++k) std::memcpy(&terms[k], sources[k], sizeof(T));
  const T result = fold_float(terms, op);
  std::memcpy(dst, &result, sizeof(T));
}

}  // namespace

double small_value(Type type, unsigned code) {
  const Table& table = table_of(type);
  const unsigned sign = 1u << (table.bits - 1);
  return std::copysign(table.values[code & (sign - 1)], (code & sign) != 0 ? -1.0 : 1.0);
}

unsigned canonical_nan(Type type) {
  return table_of(type).nan;
}

unsigned small_nearest(Type type, double value) {
  const Table& table = table_of(type);
  if (std::isnan(value)) return table.nan;
  const unsigned sign = std::signbit(value) ? 1u << (table.bits - 1) : 0;
  const double magnitude = std::fabs(value);
  if (magnitude >= table.ceiling) return sign | (table.saturates ? table.finite - 1 : table.finite);
  const auto end = table.values.begin() + table.finite;
  const auto above = std::upper_bound(table.values.begin(), end, magnitude);
  const auto low = static_cast<unsigned>(above - table.values.begin()) - 1;
  if (above == end) return sign | low;
  const double to_low = magnitude - table.values[low], to_high = *above - magnitude;
  if (to_low == to_high) return sign | (low % 2 == 0 ? low : low + 1);
  return sign | (to_low < to_high ? low : low + 1);
}

void combine_one(std::byte* dst, const std::vector<const std::byte*>& sources, Type type, Op op) {
  if (sources.size() == 1) {
    std::memcpy(dst, sources[0], size_of(type));
    return;
  }
  switch (type) {
    case Type::I8: return fold_integer<int8_t>(dst, sources, op);
    case Type::U8: return fold_integer<uint8_t>(dst, sources, op);
    case Type::I32: return fold_integer<int32_t>(dst, sources, op);
    case Type::U32: return fold_integer<uint32_t>(dst, sources, op);
    case Type::I64: return fold_integer<int64_t>(dst, sources, op);
    case Type::U64: return fold_integer<uint64_t>(dst, sources, op);
    case Type::F32: return fold_native<float>(dst, sources, op);
    case Type::F64: return fold_native<double>(dst, sources, op);
    default: break;
  }
  std::vector<float> terms;
  for (const std::byte* source : sources) terms.push_back(static_cast<float>(small_value(type, read_code(source, type))));
  const unsigned code = small_nearest(type, static_cast<double>(fold_float(terms, op)));
  std::memcpy(dst, &code, size_of(type));
}

std::vector<std::byte> random_elements(std::mt19937_64& random, Type type, size_t count) {
  std::vector<std::byte> bytes(count * size_of(type));
  const bool any_bits = !is_float(type) || random() % 2 == 0;
  std::normal_distribution<double> moderate(0.0, 2.0);
  for (size_t i = 0; i < count; ++i) {
    std::byte* element = bytes.data() + i * size_of(type);
    const uint64_t bits = random();
    if (any_bits && !(is_float(type) && size_of(type) >= 4 && bits % 16 == 0)) {
      std::memcpy(element, &bits, size_of(type));
    } else if (any_bits) {  // rare among 2^32 bit patterns
      const double special[] = {0.0, -0.0, kInfinity, -kInfinity, kNan};
      from_double(element, type, special[random() % 5]);
    } else if (is_small(type)) {
      const unsigned code = small_nearest(type, moderate(random));
      std::memcpy(element, &code, size_of(type));
    } else {
      from_double(element, type, moderate(random));
    }
  }
  return bytes;
}

uint64_t seed() {
  static const uint64_t chosen = [] {
    const char* given = std::getenv("DTYPE_SEED");
    const auto now = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    const uint64_t value = given != nullptr ? std::strtoull(given, nullptr, 0) : now;
    std::printf("DTYPE_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return chosen;
}

}  // namespace tutti::reference
