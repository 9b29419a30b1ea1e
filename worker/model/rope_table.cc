#include "worker/model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace banyan::worker {
namespace {

int64_t OriginalLength(const ModelConfig& config) {
  const int64_t original = config.rope_scaling.original_context_length;
  return original > 0 ? original : config.context_length;
}

double DynamicTheta(const ModelConfig& config, int64_t served_context_length) {
  const double dim = static_cast<double>(config.head_size);
  const double original = static_cast<double>(OriginalLength(config));
  const double length = std::max(static_cast<double>(served_context_length), original);
  const double factor = config.rope_scaling.factor;
  const double stretch = factor * length / original - (factor - 1);
  return config.rope_theta * std::pow(stretch, dim / (dim - 2));
}

void ScaleLlama3(const ModelConfig& config, std::vector<double>& inverse) {
  const RopeScaling& scaling = config.rope_scaling;
  const double original = static_cast<double>(OriginalLength(config));
  for (double& frequency : inverse) {
    const double rotations = original * frequency / (2 * std::numbers::pi);
    const double keep = std::clamp((rotations - scaling.low_freq_factor) /
                                       (scaling.high_freq_factor - scaling.low_freq_factor),
                                   0.0, 1.0);
    frequency = (1 - keep) * frequency / scaling.factor + keep * frequency;
  }
}

void ScaleYarn(const ModelConfig& config, std::vector<double>& inverse) {
  const RopeScaling& scaling = config.rope_scaling;
  const double dim = static_cast<double>(config.head_size);
  const double original = static_cast<double>(OriginalLength(config));
  // The dimension whose frequency turns `rotations` times over the original length.
  const auto dimension_of = [&](double rotations) {
    return dim * std::log(original / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  const double low = std::max(std::floor(dimension_of(scaling.beta_fast)), 0.0);
  const double high = std::min(std::ceil(dimension_of(scaling.beta_slow)), dim - 1);
  const double width = std::max(high - low, 0.001);
  for (size_t i = 0; i < inverse.size(); ++i) {
    const double interpolate = std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
    inverse[i] = inverse[i] / scaling.factor * interpolate + inverse[i] * (1 - interpolate);
  }
}

}  // namespace

RopeFrequencies ComputeRopeFrequencies(const ModelConfig& config, int64_t served_context_length) {
  const RopeScaling& scaling = config.rope_scaling;
  const double theta = scaling.type == RopeScalingType::kDynamic
                           ? DynamicTheta(config, served_context_length)
                           : config.rope_theta;
  RopeFrequencies result;
  result.inverse.resize(static_cast<size_t>(config.head_size / 2));
  for (size_t i = 0; i < result.inverse.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_size);
    result.inverse[i] = std::pow(theta, -exponent);
  }
  switch (scaling.type) {
    case RopeScalingType::kNone:
    case RopeScalingType::kDynamic:
      break;
    case RopeScalingType::kLinear:
      for (double& frequency : result.inverse) frequency /= scaling.factor;
      break;
    case RopeScalingType::kLlama3:
      ScaleLlama3(config, result.inverse);
      break;
    case RopeScalingType::kYarn:
      ScaleYarn(config, result.inverse);
      result.magnitude = scaling.attention_factor.value_or(
          scaling.factor <= 1 ? 1.0 : 0.1 * std::log(scaling.factor) + 1);
      break;
  }
  for (size_t i = 0; i < config.rope_frequency_divisors.size(); ++i) {
    result.inverse[i] /= config.rope_frequency_divisors[i];
  }
  return result;
}

RopeTable MakeRopeTable(const ModelConfig& config, int64_t num_positions) {
  const RopeFrequencies frequencies = ComputeRopeFrequencies(config, num_positions);
  RopeTable table;
  table.cos.reserve(static_cast<size_t>(num_positions) * frequencies.inverse.size());
  table.sin.reserve(table.cos.capacity());
  for (int64_t position = 0; position < num_positions; ++position) {
    for (double frequency : frequencies.inverse) {
      const double angle = static_cast<double>(position) * frequency;
      table.cos.push_back(static_cast<float>(std::cos(angle) * frequencies.magnitude));
      table.sin.push_back(static_cast<float>(std::sin(angle) * frequencies.magnitude));
    }
  }
  return table;
}

}  // namespace banyan::worker
