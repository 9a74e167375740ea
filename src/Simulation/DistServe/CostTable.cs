using System.Globalization;
using System.Text.Json;

namespace Krewe.Simulation.DistServe;

/// <summary>
/// The published coefficients (Data/distserve_a100_coefficients.json): OPT-13B and OPT-66B on A100-80GB.
/// </summary>
public sealed class CostTable
{
    private readonly JsonElement _root;

    private CostTable(JsonElement root) => _root = root;

    /// <summary>Reads the table that is embedded in this assembly.</summary>
    public static CostTable Load()
    {
        using var stream = typeof(CostTable).Assembly
            .GetManifestResourceStream("Krewe.Simulation.Data.distserve_a100_coefficients.json")
            ?? throw new InvalidOperationException("The coefficient table is not embedded in the assembly.");
        using var document = JsonDocument.Parse(stream);
        return new CostTable(document.RootElement.Clone());
    }

    /// <summary>
    /// Costs of one instance; <see cref="SimulationException"/> names what the table lacks and what it has.
    /// </summary>
    public StageCosts For(string engine, string model, InstanceShape shape)
    {
        var engines = _root.GetProperty("engines");
        var byModel = Find(engines, engine, "engine");
        var bySize = Find(byModel, $"facebook/opt-{model}", "model");
        var tensor = shape.TensorParallel.ToString(CultureInfo.InvariantCulture);
        var row = Find(bySize, tensor, "tensor parallel size");
        return new StageCosts(
            ReadFit(row, "prefill"), ReadFit(row, "decoding_smallbs"), ReadFit(row, "decoding_largebs"),
            row.GetProperty("decoding_large_small_bs_threshold").GetInt32(), shape.PipelineParallel,
            Capacity($"facebook/opt-{model}", shape));
    }

    private static JsonElement Find(JsonElement parent, string key, string what)
    {
        if (parent.TryGetProperty(key, out var found)) return found;
        var known = string.Join(", ", parent.EnumerateObject().Select(p => p.Name));
        throw new SimulationException($"No {what} '{key}' in the fitted costs; there are: {known}.");
    }

    private static Fit ReadFit(JsonElement row, string name)
    {
        var values = row.GetProperty(name);
        return new Fit(values[0].GetDouble(), values[1].GetDouble(), values[2].GetDouble());
    }

    private int Capacity(string model, InstanceShape shape)
    {
        var shapes = new List<string>();
        foreach (var row in _root.GetProperty("max_num_tokens").EnumerateArray())
        {
            if (row.GetProperty("model").GetString() != model) continue;
            var tensor = ReadInt(row, "tp");
            var pipeline = ReadInt(row, "pp");
            if (tensor == shape.TensorParallel && pipeline == shape.PipelineParallel)
                return ReadInt(row, "max_num_tokens");
            shapes.Add($"{tensor},{pipeline}");
        }

        throw new SimulationException(
            $"No KV capacity for {model} at tensor,pipeline = {shape}; there is one for: {string.Join("; ", shapes)}.");
    }

    private static int ReadInt(JsonElement row, string name) =>
        int.Parse(row.GetProperty(name).GetString()!, CultureInfo.InvariantCulture);
}
