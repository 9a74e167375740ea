using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.KvStore;
using Krewe.KvStore.Benching;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe bench store</c>: the KV object store beside raw io_uring on the same files.</summary>
internal sealed class StoreBenchCommand : Command
{
    private const int Layers = 8;
    private const int KvHeads = 8;

    private readonly Option<string?> _directories = Setting.Text(
        "--dir", "DIR,DIR", "Folders on the disks to measure, striped over. Default: the current folder.");

    private readonly UsualOption<long> _objectBytes = Setting.Bytes(
        "--object-bytes", "Bytes of an object, in steps of 32 KiB.", 1L << 20);

    private readonly UsualOption<int> _objects = Setting.Count("--objects", "Objects to move.", 1024, 1, 4_000_000);

    private readonly UsualOption<int> _queueDepth = Setting.Count("--queue-depth", "I/Os in flight.", 32, 1, 1024);

    private readonly UsualOption<int> _repeats = Setting.Count(
        "--repeats", "Turns of raw and store; the median counts.", 5, 1, 1000);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of a table." };
    private readonly Terminal _terminal;

    public StoreBenchCommand(Terminal terminal)
        : base("store", "KV objects on disk, beside raw io_uring on the same files.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_directories, _objectBytes, _objects, _queueDepth, _repeats, _json])
            Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        const int step = Layers * 4096;
        var bytes = _objectBytes.Read(result);
        if (bytes is < step or > 64 << 20 || bytes % step != 0)
        {
            return _terminal.RefuseUsage(
                [$"--object-bytes is {bytes}; it must be 32KiB, 64KiB, ... up to 64MiB."], "bench store");
        }


        try
        {
            var sizes = new StoreBenchSizes
            {
                Directories = result.GetValue(_directories)?.Split(',') ?? [Directory.GetCurrentDirectory()],
                Geometry = Shape((int)bytes),
                Objects = _objects.Read(result),
                QueueDepth = _queueDepth.Read(result),
                Repeats = _repeats.Read(result),
            };
            var report = StoreBenchReport.From(
                await new StoreBench(sizes, TimeProvider.System).RunAsync(cancellationToken));
            if (result.GetValue(_json))
                _terminal.Out.WriteLine(JsonSerializer.Serialize(report, TierBenchJson.Default.StoreBenchReport));
            else
                Print(report);
            return ExitCode.Success;
        }
        catch (KvStoreException error)
        {
            throw new KreweException(ErrorCode.InvalidOptions, error.Message, innerException: error);
        }
    }

    /// <summary>Eight layers of eight heads in BF16; the dimensions make up the size.</summary>
    private static KvGeometry Shape(int bytes) =>
        new(Layers, KvHeads, bytes / (Layers * KvHeads * 2 * sizeof(ushort) * 16), 16, KvFormat.BF16);

    private void Print(StoreBenchReport report)
    {
        var ansi = _terminal.Ansi();
        ansi.WriteLine($"{report.Objects} objects of {ByteSize.Format(report.ObjectBytes)}; {report.Store}");
        ansi.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"opened, index rebuilt from the headers: {report.RebuildSeconds:0.00} s"));
        var table = new Table().AddColumns(
            "work", "store MB/s", "raw io_uring MB/s", "ratio", "by I/Os of that size", "ratio");
        foreach (var row in report.Results)
        {
            table.AddRow(
                row.Operation, Megabytes(row.BytesPerSecond), Megabytes(row.LimitBytesPerSecond),
                row.Ratio.ToString("0.00", CultureInfo.InvariantCulture), Megabytes(row.SameIoBytesPerSecond),
                row.SameIoRatio.ToString("0.00", CultureInfo.InvariantCulture));
        }

        ansi.Write(table);
    }

    private static string Megabytes(double bytes) => (bytes / 1e6).ToString("N0", CultureInfo.InvariantCulture);
}
