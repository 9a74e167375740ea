namespace Krewe.Models;

/// <summary>What <c>generation_config.json</c> proposes for requests that do not say otherwise; null = not stated.
/// </summary>
public sealed record GenerationDefaults
{
    /// <summary>0 where the file says <c>do_sample: false</c>.</summary>
    public float? Temperature { get; init; }

    /// <summary>In (0, 1].</summary>
    public float? TopP { get; init; }

    /// <summary>At least 1; a file's 0 or -1 (off) reads as null.</summary>
    public int? TopK { get; init; }

    public float? MinP { get; init; }

    /// <summary>Positive; 1 = off.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Output tokens of one request.</summary>
    public int? MaxNewTokens { get; init; }

    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Reads the folder's file; a folder without one gives the empty record.</summary>
    /// <exception cref="ModelException">A value is of the wrong type or out of range.</exception>
    public static GenerationDefaults Load(string directory, int vocabularySize)
    {
        var file = Path.Combine(directory, "generation_config.json");
        if (!File.Exists(file))
            return new GenerationDefaults();
        var root = JsonField.Load(file);
        var sampled = root.Optional("do_sample")?.AsBool();
        return new GenerationDefaults
        {
            Temperature = sampled == false ? 0 : Number(root, "temperature", 0, float.MaxValue),
            TopP = Number(root, "top_p", float.Epsilon, 1),
            TopK = root.Optional("top_k")?.AsInt(min: -1) is { } topK and > 0 ? topK : null,
            MinP = Number(root, "min_p", 0, 1),
            RepetitionPenalty = Number(root, "repetition_penalty", float.Epsilon, float.MaxValue),
            MaxNewTokens = root.Optional("max_new_tokens")?.AsInt(min: 1),
            EosTokenIds = ModelConfigReader.ReadTokenIds(root.Optional("eos_token_id"), vocabularySize),
        };
    }

    private static float? Number(JsonField root, string name, float min, float max)
    {
        if (root.Optional(name) is not { } field)
            return null;
        var value = (float)field.AsDouble();
        return value >= min && value <= max ? value : throw field.Wrong($"in {min}..{max}");
    }
}
