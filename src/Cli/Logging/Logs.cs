using System.CommandLine;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>What a silo or a worker logs: warnings and errors, one line each; everything with --verbose.</summary>
internal static class Logs
{
    public static ILoggerFactory Create(ParseResult result, Terminal terminal, TimeProvider time)
    {
        var isVerbose = result.GetValue(KreweCommand.Verbose);
        return LoggerFactory.Create(builder =>
        {
            builder.SetMinimumLevel(isVerbose ? LogLevel.Debug : LogLevel.Warning);
            // The host logs what it throws; FailureReport says it once, in one line.
            if (!isVerbose) builder.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
            // Orleans warns of every probe and retry; what follows from them is told by our own silo.
            if (!isVerbose) builder.AddFilter("Orleans", LogLevel.Error);
            builder.AddProvider(new LineLoggerProvider(terminal.Error, time, isVerbose));
        });
    }
}
