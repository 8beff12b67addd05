// values: see values.h.
#include "tests/harness/values.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <vector>

namespace tutti::test {
namespace {

// digits: significant bits of a float, the hidden one included; 0: an integer.
struct Format {
  const char* name;
  int bytes, digits, exponent_bits;
  bool is_signed;
};
constexpr Format kFormats[] = {{"int8", 1, 0, 0, true},     {"uint8", 1, 0, 0, false},     {"int32", 4, 0, 0, true},
                               {"uint32", 4, 0, 0, false},  {"int64", 8, 0, 0, true},      {"uint64", 8, 0, 0, false},
                               {"float16", 2, 11, 5, true}, {"float32", 4, 24, 8, true},   {"float64", 8, 53, 11, true},
                               {"bfloat16", 2, 8, 8, true}, {"float8e4m3", 1, 4, 4, true}, {"float8e5m2", 1, 3, 5, true}};
static_assert(std::size(kFormats) == tuttiNumTypes);

const Format& format_of(tuttiDataType_t type) {
  return kFormats[type];
}
int bias_of(const Format& f) {
  return (1 << (f.exponent_bits - 1)) - 1;
}

uint64_t load(const std::byte* from, int bytes) {
  uint64_t code = 0;
  std::memcpy(&code, from, static_cast<size_t>(bytes));  // little-endian, as all hosts Tutti runs on
  return code;
}
void store(std::byte* to, int bytes, uint64_t code) {
  std::memcpy(to, &code, static_cast<size_t>(bytes));
}

double decode(const Format& f, uint64_t code) {
  const int mantissa_bits = f.digits - 1;
  const int exponent = static_cast<int>(code >> mantissa_bits & ((1u << f.exponent_bits) - 1));
  const uint64_t mantissa = code & ((uint64_t{1} << mantissa_bits) - 1);
  const bool top = exponent == (1 << f.exponent_bits) - 1;
  double value;
  if (top && (f.exponent_bits != 4 || mantissa == 7)) {  // e4m3 has one NaN and no infinity
    value = mantissa == 0 ? HUGE_VAL : std::nan("");
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<double>(mantissa), 1 - bias_of(f) - mantissa_bits);
  } else {
    const double whole = static_cast<double>(mantissa | uint64_t{1} << mantissa_bits);
    value = std::ldexp(whole, exponent - bias_of(f) - mantissa_bits);
  }
  return code >> (8 * f.bytes - 1) ? -value : value;
}

// Only for values that are normal numbers of the format, or zero.
uint64_t encode(const Format& f, double value) {
  if (value == 0) return 0;
  int exponent;
  const double fraction = std::frexp(std::fabs(value), &exponent);  // 0.5..1
  const uint64_t whole = static_cast<uint64_t>(std::ldexp(fraction, f.digits));
  const uint64_t biased = static_cast<uint64_t>(exponent - 1 + bias_of(f));
  const uint64_t code = biased << (f.digits - 1) | (whole & ((uint64_t{1} << (f.digits - 1)) - 1));
  return code | (value < 0 ? uint64_t{1} << (8 * f.bytes - 1) : 0);
}

// Everything fits a double exactly.
double read_float(tuttiDataType_t type, const std::byte* at) {
  if (type == tuttiFloat32) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return static_cast<double>(value);
  }
  if (type == tuttiFloat64) {
    double value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  return decode(format_of(type), load(at, format_of(type).bytes));
}

// Value of a float of `digits` bits, from random bits.
double draw_float(int digits, Fill fill, uint64_t random) {
  const bool negative = random & 1;
  const uint64_t bits = random >> 8;
  switch (fill) {
    case Fill::Bits: break;
    case Fill::Terms: {
      // digits - 1 random bits under a sign: (-1, 1), nothing rounded.
      const uint64_t magnitude = bits & ((uint64_t{1} << digits) - 1);
      return std::ldexp(static_cast<double>(magnitude), -digits) * (negative && magnitude ? -1 : 1);
    }
    case Fill::Factors: {
      const bool above = random & 2;
      const uint64_t range = uint64_t{1} << (above ? digits - 3 : digits - 2);
      const double offset = std::ldexp(static_cast<double>(bits % (range + 1)), above ? 1 - digits : -digits);
      return (above ? 1 + offset : 1 - offset) * (negative ? -1 : 1);
    }
    case Fill::ExactTerms: return static_cast<double>(bits % 3) - 1;
    case Fill::ExactFactors: return std::ldexp(negative ? -1.0 : 1.0, static_cast<int>(bits % 3) - 1);
  }
  return 0;
}

// An integer of `bits` bits, as the type reads it.
int64_t extend(uint64_t code, int bits, bool is_signed) {
  if (bits == 64) return static_cast<int64_t>(code);
  code &= (uint64_t{1} << bits) - 1;
  if (is_signed && code >> (bits - 1)) code |= ~uint64_t{0} << bits;
  return static_cast<int64_t>(code);
}

uint64_t reduce_integers(const Format& f, int op, const std::vector<uint64_t>& values) {
  const int bits = 8 * f.bytes;
  const auto less = [&](uint64_t a, uint64_t b) {
    const int64_t x = extend(a, bits, f.is_signed), y = extend(b, bits, f.is_signed);
    return f.is_signed ? x < y : static_cast<uint64_t>(x) < static_cast<uint64_t>(y);
  };
  uint64_t result = values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    switch (op) {
      case tuttiProd: result *= values[i]; break;
      case tuttiMax: result = less(result, values[i]) ? values[i] : result; break;
      case tuttiMin: result = less(values[i], result) ? values[i] : result; break;
      default: result += values[i];
    }
  }
  if (op == tuttiAvg) {
    const int64_t sum = extend(result, bits, f.is_signed), n = static_cast<int64_t>(values.size());
    result = f.is_signed ? static_cast<uint64_t>(sum / n) : static_cast<uint64_t>(sum) / static_cast<uint64_t>(n);
  }
  return static_cast<uint64_t>(extend(result, bits, false));
}

struct Expected {
  long double value, bound;
};

Expected reduce_floats(const Format& f, const Reduction& r, const std::vector<double>& values) {
  const long double k = static_cast<long double>(values.size());
  if (r.op == tuttiMax) return {*std::max_element(values.begin(), values.end()), 0};
  if (r.op == tuttiMin) return {*std::min_element(values.begin(), values.end()), 0};
  long double result = r.op == tuttiProd ? 1 : 0, magnitude = 0;
  for (double value : values) {
    if (r.op == tuttiProd) {
      result *= static_cast<long double>(value);
    } else {
      result += static_cast<long double>(value);
      magnitude += std::fabs(static_cast<long double>(value));
    }
  }
  if (r.op == tuttiProd) magnitude = std::fabs(result);
  if (r.op == tuttiAvg) result /= k, magnitude /= k;
  // 1/n is a power of two, or it is rounded.
  if (r.exact && (r.op != tuttiAvg || (r.ranks & (r.ranks - 1)) == 0)) return {result, 0};
  const long double u = std::ldexp(1.0L, -f.digits), tiny = std::ldexp(1.0L, 2 - bias_of(f) - f.digits);
  return {result, (std::pow(1 + u, k + 2) - 1) * magnitude + 8 * k * tiny};
}

std::string different(size_t index, const std::string& got, const std::string& wanted) {
  return "element " + std::to_string(index) + " is " + got + ", not " + wanted;
}

template <typename T>
std::string text_of(T value) {
  std::ostringstream out;
  out.precision(20);
  out << value;
  return out.str();
}

constexpr size_t kPiece = 1024;  // elements worked on at once

}  // namespace

size_t size_of(tuttiDataType_t type) {
  return static_cast<size_t>(format_of(type).bytes);
}
const char* name_of(tuttiDataType_t type) {
  return format_of(type).name;
}
bool is_float(tuttiDataType_t type) {
  return format_of(type).digits > 0;
}

const char* name_of_op(int op) {
  static const char* const names[] = {"sum", "prod", "max", "min", "avg", "premulsum"};
  return names[op];
}

Fill fill_for(tuttiDataType_t type, int op, bool exact) {
  if (!is_float(type)) return Fill::Bits;
  if (op == tuttiProd) return exact ? Fill::ExactFactors : Fill::Factors;
  return exact ? Fill::ExactTerms : Fill::Terms;
}

uint64_t hash(uint64_t a, uint64_t b, uint64_t c) {
  uint64_t x = a * 0x9e3779b97f4a7c15 ^ (b + 0x632be59bd9b4e019) * 0xd6e8feb86659fd93 ^ (c + 1) * 0xa0761d6478bd642f;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

void write_input(std::byte* to, tuttiDataType_t type, Fill fill, uint64_t seed, int rank, size_t first, size_t count) {
  const Format& f = format_of(type);
  const uint64_t base = hash(seed, static_cast<uint64_t>(rank));
  for (size_t i = 0; i < count; ++i, to += f.bytes) {
    const uint64_t random = hash(base, first + i);
    store(to, f.bytes, fill == Fill::Bits ? random : encode(f, draw_float(f.digits, fill, random)));
  }
}

void write_scalar(std::byte* to, tuttiDataType_t type, uint64_t seed, int rank, bool exact) {
  const Format& f = format_of(type);
  const uint64_t random = hash(seed ^ 0x5ca1a, static_cast<uint64_t>(rank));
  static constexpr double kScalars[] = {1, -1, 0.5, 0.75, 1.25, -1.5};
  store(to, f.bytes, is_float(type) ? encode(f, kScalars[random % (exact ? 2 : 6)]) : random);
}

std::string compare_reduced(const Reduction& r, size_t first, size_t count, const std::byte* got) {
  const Format& f = format_of(r.type);
  const Fill fill = fill_for(r.type, r.op, r.exact);
  const size_t ranks = static_cast<size_t>(r.ranks), bytes = static_cast<size_t>(f.bytes);
  std::vector<std::byte> inputs(ranks * kPiece * bytes), scalars(ranks * bytes);
  for (size_t k = 0; k < ranks; ++k) write_scalar(&scalars[k * bytes], r.type, r.seed, static_cast<int>(k), r.exact);
  std::vector<uint64_t> codes(ranks);
  std::vector<double> values(ranks);
  for (size_t done = 0; done < count; done += kPiece) {
    const size_t piece = std::min(kPiece, count - done);
    for (size_t k = 0; k < ranks; ++k)
      write_input(&inputs[k * kPiece * bytes], r.type, fill, r.seed, static_cast<int>(k), first + done, piece);
    for (size_t i = 0; i < piece; ++i) {
      const std::byte* at = got + (done + i) * bytes;
      if (f.digits == 0) {
        for (size_t k = 0; k < ranks; ++k) {
          codes[k] = load(&inputs[(k * kPiece + i) * bytes], f.bytes);
          if (r.op == kPreMulSum) codes[k] *= load(&scalars[k * bytes], f.bytes);
        }
        const uint64_t wanted = reduce_integers(f, r.op, codes), found = load(at, f.bytes);
        if (wanted != found) return different(done + i, std::to_string(found), std::to_string(wanted) + " (as unsigned)");
      } else {
        for (size_t k = 0; k < ranks; ++k) {
          values[k] = read_float(r.type, &inputs[(k * kPiece + i) * bytes]);
          if (r.op == kPreMulSum) values[k] *= read_float(r.type, &scalars[k * bytes]);
        }
        const Expected wanted = reduce_floats(f, r, values);
        const double found = read_float(r.type, at);
        if (!(std::fabs(static_cast<long double>(found) - wanted.value) <= wanted.bound))
          return different(done + i, text_of(found), text_of(wanted.value) + " +- " + text_of(wanted.bound));
      }
    }
  }
  return "";
}

std::string compare_copied(tuttiDataType_t type, Fill fill, uint64_t seed, int from, size_t first, size_t count,
                           const std::byte* got) {
  const size_t bytes = size_of(type);
  std::vector<std::byte> wanted(kPiece * bytes);
  for (size_t done = 0; done < count; done += kPiece) {
    const size_t piece = std::min(kPiece, count - done);
    write_input(wanted.data(), type, fill, seed, from, first + done, piece);
    if (std::memcmp(wanted.data(), got + done * bytes, piece * bytes) == 0) continue;
    for (size_t i = 0; i < piece; ++i) {
      const std::byte* at = got + (done + i) * bytes;
      if (std::memcmp(&wanted[i * bytes], at, bytes) != 0)
        return different(
            done + i, text_of(load(at, static_cast<int>(bytes))),
            text_of(load(&wanted[i * bytes], static_cast<int>(bytes))) + " (bits, from rank " + std::to_string(from) + ")");
    }
  }
  return "";
}

}  // namespace tutti::test
