using System.CommandLine;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>
/// The options of a worker's GPUs. What <see cref="ToArguments"/> writes, <see cref="Read"/> reads back.
/// </summary>
internal sealed class CudaSettings
{
    private static readonly CudaOptions Usual = new();

    private readonly Option<string?> _libraries = Setting.Text(
        "--cuda-libraries", "DIR,DIR", "Folders with NVIDIA's libraries, before the system's (Python wheels').");

    private readonly Option<int[]?> _devices = new("--cuda-devices")
    {
        Description = "GPUs of a worker, by the driver's numbers; several compute a model together. Default 0.",
        HelpName = "N,N",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            var numbers = new List<int>();
            foreach (var text in result.Tokens[0].Value.Split(','))
            {
                if (int.TryParse(text, out var number) && number >= 0 && !numbers.Contains(number)) numbers.Add(number);
                else result.AddError($"--cuda-devices is '{result.Tokens[0].Value}'; write GPU numbers like 0 or 0,1.");
            }

            return [.. numbers];
        },
    };

    private readonly UsualOption<CudaProducts> _products = Setting.Choice(
        "--cuda-products", "What computes dense products on GPUs.", Usual.Products);

    private readonly UsualOption<CudaAttention> _attention = Setting.Choice(
        "--cuda-attention", "Instruction of prefill attention: wgmma is Hopper's.", Usual.Attention);

    private readonly Option<string?> _cache = Setting.Text(
        "--cuda-cache", "DIR", "Folder for compiled kernels. Default: krewe/cuda in the user's cache folder.");

    private readonly UsualOption<DirectStorage> _directStorage = Setting.Choice(
        "--cuda-direct-storage", "KV objects from disk straight into the GPU.", Usual.DirectStorage);

    private readonly UsualOption<CudaKvMemory> _kvMemory = Setting.Choice(
        "--cuda-kv-memory", "How KV memory of GPUs is made: apart from its addresses, which containers can share, or "
        + "plainly.", Usual.KvMemory);

    private readonly Option<bool> _noGraphs = new("--cuda-no-graphs")
    {
        Description = "Launch each kernel of a decode step alone.",
    };

    private readonly Option<bool> _overlap = new("--cuda-overlap")
    {
        Description = "Let a kernel begin while the one before it ends (H100 and newer).",
    };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[
            _libraries, _devices, _products, _attention, _cache, _noGraphs, _overlap])
            command.Add(option);
    }

    /// <summary>Those of KV that comes from disk and goes to other workers.</summary>
    public void AddLinkedTo(Command command)
    {
        command.Add(_directStorage);
        command.Add(_kvMemory);
    }

    public CudaOptions Read(ParseResult result) => new()
    {
        LibraryDirectories = result.GetValue(_libraries)?.Split(',') ?? [],
        Devices = result.GetValue(_devices) is { Length: > 0 } devices ? devices : Usual.Devices,
        Products = _products.Read(result),
        Attention = _attention.Read(result),
        CacheDirectory = result.GetValue(_cache),
        DirectStorage = _directStorage.Read(result),
        KvMemory = _kvMemory.Read(result),
        Graphs = !result.GetValue(_noGraphs),
        Overlap = result.GetValue(_overlap),
    };

    public static IEnumerable<string> ToArguments(CudaOptions options)
    {
        List<string> arguments = ["--cuda-products", Setting.Name(options.Products)];
        if (options.LibraryDirectories.Count > 0)
            arguments.AddRange(["--cuda-libraries", string.Join(',', options.LibraryDirectories)]);
        if (!options.Devices.SequenceEqual(Usual.Devices))
            arguments.AddRange(["--cuda-devices", string.Join(',', options.Devices)]);
        if (options.Attention != Usual.Attention)
            arguments.AddRange(["--cuda-attention", Setting.Name(options.Attention)]);
        if (options.CacheDirectory is { } folder) arguments.AddRange(["--cuda-cache", folder]);
        if (options.DirectStorage != Usual.DirectStorage)
            arguments.AddRange(["--cuda-direct-storage", Setting.Name(options.DirectStorage)]);
        if (options.KvMemory != Usual.KvMemory)
            arguments.AddRange(["--cuda-kv-memory", Setting.Name(options.KvMemory)]);
        if (!options.Graphs) arguments.Add("--cuda-no-graphs");
        if (options.Overlap) arguments.Add("--cuda-overlap");
        return arguments;
    }
}
