using System.CommandLine;
using System.Globalization;
using Krewe.Cli.Telemetry;

namespace Krewe.Cli;

/// <summary>
/// Where a silo or a worker sends traces and metrics by OTLP. The usual variables of OpenTelemetry
/// (OTEL_EXPORTER_OTLP_*) say the same and more; the command line goes first.
/// </summary>
internal sealed class TelemetrySettings
{
    private readonly Option<Uri?> _otlp = new("--otlp")
    {
        Description = "Collector for traces and metrics, like http://collector:4318. Default: none.",
        HelpName = "URL",
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https") return url;
            result.AddError($"--otlp is '{text}'; it must be a URL like http://collector:4318.");
            return null;
        },
    };

    private readonly UsualOption<OtlpProtocol> _protocol = Setting.Choice(
        "--otlp-protocol", "How the collector is spoken to: protobuf over HTTP, or gRPC.", OtlpProtocol.Http);

    private readonly Option<float?> _sample = Setting.OptionalNumber(
        "--trace-sample", "Share of requests that are traced; a client's traceparent decides first. Default 1.", 0, 1);

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_otlp, _protocol, _sample]) command.Add(option);
    }

    /// <summary>Exports until disposed of; null when nobody asked for it.</summary>
    /// <param name="result">The parsed command line.</param>
    /// <param name="service">OpenTelemetry's service.name.</param>
    /// <param name="instance">Its service.instance.id: the silo's or worker's name.</param>
    public IDisposable? Start(ParseResult result, string service, string instance) => OtlpExport.Start(
        service, instance, result.GetValue(_otlp), _protocol.Read(result), result.GetValue(_sample) ?? 1);

    /// <summary>What children are told, so that they send to the same place and log in the same form.</summary>
    public static IReadOnlyList<string> ForChildren(ParseResult result, TelemetrySettings settings)
    {
        List<string> arguments = ["--log-format", Setting.Name(KreweCommand.Format.Read(result))];
        if (result.GetValue(KreweCommand.Verbose)) arguments.Add("--verbose");
        if (result.GetValue(settings._otlp) is { } otlp)
        {
            arguments.AddRange(
                ["--otlp", otlp.ToString(), "--otlp-protocol", Setting.Name(settings._protocol.Read(result))]);
        }

        if (result.GetValue(settings._sample) is { } sample)
            arguments.AddRange(["--trace-sample", sample.ToString(CultureInfo.InvariantCulture)]);
        return arguments;
    }
}
