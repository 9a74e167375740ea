using System.CommandLine;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>The files of mutual TLS on links, for silos and workers alike.</summary>
internal sealed class LinkTlsSettings
{
    private readonly Option<string?> _certificate = Setting.Text(
        "--link-cert", "FILE", "PEM certificate for TLS between silos and workers. Default: plain TCP.");

    private readonly Option<string?> _key = Setting.Text("--link-key", "FILE", "Its key.");

    private readonly Option<string?> _authority = Setting.Text(
        "--link-ca", "FILE", "Authority whose certificates belong to the cluster.");

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_certificate, _key, _authority]) command.Add(option);
    }

    /// <summary>Null without any of the files; one that is missing is found by the options' own check.</summary>
    public LinkTlsOptions? Read(ParseResult result)
    {
        var files = (result.GetValue(_certificate), result.GetValue(_key), result.GetValue(_authority));
        return files is (null, null, null)
            ? null
            : new LinkTlsOptions(files.Item1 ?? "", files.Item2 ?? "", files.Item3 ?? "");
    }

    public static IEnumerable<string> ToArguments(LinkTlsOptions? options) => options is null
        ? []
        : ["--link-cert", options.Certificate, "--link-key", options.Key, "--link-ca", options.Authority];
}
