using System.Globalization;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>The command line of <c>krewe worker</c> that gives exactly these options.</summary>
internal static class WorkerArguments
{
    public static IReadOnlyList<string> From(WorkerOptions options)
    {
        List<string> arguments =
        [
            "worker",
            "--id", options.WorkerId,
            "--role", Setting.Name(options.Role),
            "--model", options.ModelDirectory,
            "--block-tokens", options.BlockTokens.ToString(CultureInfo.InvariantCulture),
            "--data-host", options.DataHost,
            "--data-port", options.DataPort.ToString(CultureInfo.InvariantCulture),
        ];
        foreach (var silo in options.Silos) arguments.AddRange(["--silo", silo]);
        if (options.ServedModelName is { } name) arguments.AddRange(["--served-model-name", name]);
        arguments.AddRange(LinkTlsSettings.ToArguments(options.LinkTls));
        arguments.AddRange(EngineSettings.ToArguments(options));
        return arguments;
    }
}
