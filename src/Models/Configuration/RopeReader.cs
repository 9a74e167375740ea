namespace Krewe.Models;

/// <summary>
/// Reads <c>rope_theta</c> + <c>rope_scaling</c>, or the newer <c>rope_parameters</c> that holds both. A kind or a key
/// that is not known is refused: a silently ignored one gives a model that is only slightly wrong.
/// </summary>
internal static class RopeReader
{
    private const double DefaultTheta = 10_000;

    private static readonly string[] CommonKeys = ["rope_type", "type", "rope_theta", "factor"];

    public static RopeSettings Read(JsonField config, int maxPositions)
    {
        var scaling = config.Optional("rope_parameters") ?? config.Optional("rope_scaling");
        var thetaField = scaling?.Optional("rope_theta") ?? config.Optional("rope_theta");
        var plain = new RopeSettings { Theta = thetaField is { } field ? Positive(field) : DefaultTheta };
        if (scaling is not { } rope)
            return plain;

        var typeField = rope.Optional("rope_type") ?? rope.Optional("type");
        switch (typeField?.AsString())
        {
            case null or "default":
                DemandKeys(rope);
                return plain;
            case "linear":
                DemandKeys(rope);
                return plain with { Kind = RopeKind.Linear, Factor = Factor(rope) };
            case "llama3":
                return ReadLlama3(rope, plain);
            case "yarn":
                return ReadYarn(rope, plain, maxPositions);
            default:
                throw typeField!.Value.Error(
                    $"\"{typeField.Value.Path}\" is \"{typeField.Value.AsString()}\"; supported "
                    + "are default, linear, llama3 and yarn");
        }
    }

    private static RopeSettings ReadLlama3(JsonField rope, RopeSettings plain)
    {
        DemandKeys(rope, "low_freq_factor", "high_freq_factor", "original_max_position_embeddings");
        var settings = plain with
        {
            Kind = RopeKind.Llama3,
            Factor = Factor(rope),
            LowFrequencyFactor = Positive(rope.Required("low_freq_factor")),
            HighFrequencyFactor = Positive(rope.Required("high_freq_factor")),
            OriginalMaxPositions = rope.Required("original_max_position_embeddings").AsInt(min: 1),
        };
        if (settings.HighFrequencyFactor <= settings.LowFrequencyFactor)
            throw rope.Error($"\"{rope.Path}.high_freq_factor\" must be above low_freq_factor");
        return settings;
    }

    private static RopeSettings ReadYarn(JsonField rope, RopeSettings plain, int maxPositions)
    {
        DemandKeys(rope, "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor");
        var factor = Factor(rope);
        return plain with
        {
            Kind = RopeKind.Yarn,
            Factor = factor,
            OriginalMaxPositions = rope.Optional("original_max_position_embeddings")?.AsInt(min: 1) ?? maxPositions,
            BetaFast = rope.Optional("beta_fast") is { } fast ? Positive(fast) : 32,
            BetaSlow = rope.Optional("beta_slow") is { } slow ? Positive(slow) : 1,
            // The paper's recommendation, used by every checkpoint that does not state its own.
            AttentionFactor = rope.Optional("attention_factor") is { } attention
                ? Positive(attention)
                : 0.1 * Math.Log(factor) + 1,
        };
    }

    private static double Factor(JsonField rope)
    {
        var field = rope.Required("factor");
        return field.AsDouble() >= 1 ? field.AsDouble() : throw field.Wrong("at least 1");
    }

    private static double Positive(JsonField field) =>
        field.AsDouble() > 0 ? field.AsDouble() : throw field.Wrong("a positive number");

    private static void DemandKeys(JsonField rope, params string[] kindKeys)
    {
        foreach (var (name, field) in rope.Members())
        {
            if (!CommonKeys.Contains(name) && !kindKeys.Contains(name))
                throw field.Error($"\"{field.Path}\" is not supported for this kind of RoPE");
        }
    }
}
