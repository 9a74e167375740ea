namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>Prompts as token ids for the bundled model, drawn from a seed that the test prints.</summary>
public sealed class Prompts(int seed)
{
    private const int OrdinaryTokens = 1000;

    private readonly Random _random = new(seed);

    public static string ModelFolder { get; } = FindModel();

    public int Next(int below) => _random.Next(below);

    public IReadOnlyList<int> OfLength(int length) =>
        [.. Enumerable.Range(0, length).Select(_ => _random.Next(OrdinaryTokens))];

    public T[] Shuffled<T>(IEnumerable<T> items)
    {
        var all = items.ToArray();
        _random.Shuffle(all);
        return all;
    }

    /// <summary>A user's message under the model's chat template.</summary>
    public static int[] Chat(string message)
    {
        using var model = Models.ModelFolder.Open(ModelFolder, openWeights: false);
        return model.Tokenizer.Encode($"<|begin|><|user|>{message}<|end|><|assistant|>", addSpecialTokens: false);
    }

    private static string FindModel()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "models", "tiny", "config.json"))) folder = folder.Parent!;
        return Path.Combine(folder.FullName, "models", "tiny");
    }
}
