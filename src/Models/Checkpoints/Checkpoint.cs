namespace Krewe.Models;

/// <summary>
/// The weights of one model folder: <c>model.safetensors</c>, or the shards that <c>model.safetensors.index.json</c>
/// lists. Files are mapped read-only and checked whole at <see cref="Open"/>; pages load when they are read.
/// </summary>
public sealed unsafe class Checkpoint : IDisposable
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";

    private readonly List<SafetensorsFile> _files;
    private readonly Dictionary<string, (SafetensorsFile File, TensorEntry Entry)> _tensors;

    private Checkpoint(
        List<SafetensorsFile> files, Dictionary<string, (SafetensorsFile File, TensorEntry Entry)> tensors) =>
        (_files, _tensors) = (files, tensors);

    public IReadOnlyCollection<string> Names => _tensors.Keys;

    internal IReadOnlyList<SafetensorsFile> Files => _files;

    /// <summary>Opens and checks the folder's weights.</summary>
    /// <exception cref="ModelException">A file is missing, truncated or inconsistent; nothing stays open.</exception>
    public static Checkpoint Open(string directory)
    {
        var single = Path.Combine(directory, SingleFile);
        var index = Path.Combine(directory, IndexFile);
        var files = new List<SafetensorsFile>();
        try
        {
            if (File.Exists(single))
                files.Add(SafetensorsFile.Open(single));
            else if (File.Exists(index))
                return new Checkpoint(files, OpenShards(directory, JsonField.Load(index), files));
            else
                throw new ModelException($"{directory}: neither {SingleFile} nor {IndexFile} is there. Point to a "
                    + "Hugging Face model folder with safetensors weights.");
            return new Checkpoint(files, Tabulate(files));
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>The tensor of that name. Its type must be one of <see cref="DType"/>, its shape
    /// <paramref name="expectedShape"/> (no extents given = any shape).</summary>
    /// <exception cref="ModelException">Missing, another shape, or a type that is not supported.</exception>
    public Tensor Get(string name, params ReadOnlySpan<int> expectedShape)
    {
        if (!_tensors.TryGetValue(name, out var found))
            throw new ModelException($"The tensor {name} is not in the checkpoint. The weights do not belong to this "
                + "config.json, or a file is missing.");
        var (file, entry) = found;
        if (expectedShape.Length > 0 && !expectedShape.SequenceEqual(entry.Shape))
            throw new ModelException($"{Path.GetFileName(file.Path)}: the tensor {name} has the shape "
                + $"[{string.Join(", ", entry.Shape)}], config.json asks for "
                + $"[{string.Join(", ", expectedShape.ToArray())}].");
        return file.Tensor(entry, TypeOf(file, entry));
    }

    public void Dispose() => _files.ForEach(file => file.Dispose());

    private static DType TypeOf(SafetensorsFile file, TensorEntry entry) => entry.TypeName switch
    {
        "F32" => DType.F32,
        "F16" => DType.F16,
        "BF16" => DType.BF16,
        _ => throw new ModelException($"{Path.GetFileName(file.Path)}: the tensor {entry.Name} is of type "
            + $"{entry.TypeName}; weights must be F32, F16 or BF16. Convert the checkpoint."),
    };

    private static Dictionary<string, (SafetensorsFile File, TensorEntry Entry)> OpenShards(
        string directory, JsonField index, List<SafetensorsFile> files)
    {
        var shardOf = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, field) in index.Required("weight_map").Members())
        {
            var shard = field.AsString();
            if (shard.AsSpan().ContainsAny('/', '\\') || shard is "" or "." or "..")
                throw field.Error($"the shard \"{shard}\" of the tensor {name} must be a plain file name");
            if (!shardOf.TryAdd(name, shard))
                throw field.Error($"the tensor {name} is listed twice");
            if (!File.Exists(Path.Combine(directory, shard)))
                throw field.Error(
                    $"the file {shard}, which holds the tensor {name}, is not in the folder. Download it");
        }

        if (shardOf.Count == 0)
            throw index.Error("\"weight_map\" lists no tensor");
        foreach (var shard in shardOf.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            files.Add(SafetensorsFile.Open(Path.Combine(directory, shard)));

        var tensors = Tabulate(files);
        foreach (var (name, shard) in shardOf)
        {
            if (!tensors.TryGetValue(name, out var found) || Path.GetFileName(found.File.Path) != shard)
                throw index.Error($"the tensor {name} should be in {shard}, which does not hold it");
        }

        return tensors;
    }

    private static Dictionary<string, (SafetensorsFile File, TensorEntry Entry)> Tabulate(List<SafetensorsFile> files)
    {
        var tensors = new Dictionary<string, (SafetensorsFile File, TensorEntry Entry)>(StringComparer.Ordinal);
        foreach (var file in files)
        {
            foreach (var entry in file.Entries)
            {
                if (!tensors.TryAdd(entry.Name, (file, entry)))
                    throw new ModelException($"The tensor {entry.Name} is in {Path.GetFileName(file.Path)} and in "
                        + $"{Path.GetFileName(tensors[entry.Name].File.Path)}; keep one of them.");
            }
        }

        return tensors;
    }
}
