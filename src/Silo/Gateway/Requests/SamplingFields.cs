using System.Collections.Immutable;
using System.Globalization;
using Krewe.Abstractions;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>How tokens are drawn: the request's fields over the model's generation_config.json over the API's defaults.
/// </summary>
internal static class SamplingFields
{
    private const float PenaltyMax = 2;
    private const float BiasMax = 100;

    public static SamplingSpec Read(RequestField root, ServedModel model, long drawnSeed)
    {
        var defaults = model.Folder.Defaults;
        return new SamplingSpec
        {
            Temperature = root.Find("temperature")?.AsFloat(0, 2) ?? defaults.Temperature ?? 1,
            TopP = ReadPositive(root.Find("top_p"), 1) ?? defaults.TopP ?? 1,
            TopK = ReadTopK(root, defaults.TopK),
            MinP = root.Find("min_p")?.AsFloat(0, 1) ?? defaults.MinP ?? 0,
            Seed = root.Find("seed")?.AsLong() ?? drawnSeed,
            PresencePenalty = root.Find("presence_penalty")?.AsFloat(-PenaltyMax, PenaltyMax) ?? 0,
            FrequencyPenalty = root.Find("frequency_penalty")?.AsFloat(-PenaltyMax, PenaltyMax) ?? 0,
            RepetitionPenalty =
                ReadPositive(root.Find("repetition_penalty"), float.MaxValue) ?? defaults.RepetitionPenalty ?? 1,
            LogitBias = ReadLogitBias(root, model.Folder.Config.VocabularySize),
        };
    }

    /// <summary>A number above 0; one so small that it is 0 as a float would mean something else.</summary>
    private static float? ReadPositive(RequestField? field, float max)
    {
        if (field is not { } given) return null;
        var value = given.AsFloat(0, max);
        if (value > 0) return value;
        throw given.Wrong(max < float.MaxValue
            ? string.Create(CultureInfo.InvariantCulture, $"a number above 0 and at most {max}")
            : "a number above 0");
    }

    /// <summary>0 and -1 both mean off.</summary>
    private static int? ReadTopK(RequestField root, int? modelDefault) =>
        root.Find("top_k")?.AsInt(-1, int.MaxValue) switch
        {
            null => modelDefault,
            <= 0 => null,
            var topK => topK,
        };

    private static ImmutableDictionary<int, float>? ReadLogitBias(RequestField root, int vocabularySize)
    {
        if (root.Find("logit_bias") is not { } field) return null;
        var biases = ImmutableDictionary.CreateBuilder<int, float>();
        foreach (var (name, bias) in field.Members())
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var token)
                || token >= vocabularySize)
            {
                throw new KreweException(
                    ErrorCode.InvalidRequest,
                    $"token_id(s) [{name}] in logit_bias contain out-of-vocab token ids. Vocabulary size: "
                        + $"{vocabularySize}.",
                    "logit_bias");
            }

            biases[token] = bias.AsFloat(-BiasMax, BiasMax);
        }

        return biases.Count == 0 ? null : biases.ToImmutable();
    }
}
