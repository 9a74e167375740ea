using System.CommandLine;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>The options of <see cref="ScaleOptions"/>.</summary>
internal sealed class ScaleSettings
{
    private readonly Option<ScaleTarget?> _prefill = Target("--scale-prefill");
    private readonly Option<ScaleTarget?> _decode = Target("--scale-decode");

    private readonly Option<Uri?> _api = new("--scale-api")
    {
        Description = "API of Kubernetes. Default: the one of the pod's own cluster.",
        HelpName = "URL",
        CustomParser = result =>
        {
            if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var api)) return api;
            result.AddError($"--scale-api is '{result.Tokens[0].Value}'; it must be a URL.");
            return null;
        },
    };

    private readonly Option<string?> _namespace = Setting.Text(
        "--scale-namespace", "NAME", "Namespace of the workers. Default: the pod's own.");

    private readonly Option<string?> _account = Setting.Text(
        "--scale-account", "DIR", "Folder with token and ca.crt. Default: the pod's service account.");

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_prefill, _decode, _api, _namespace, _account]) command.Add(option);
    }

    /// <summary>Null when nothing is to be scaled.</summary>
    public ScaleOptions? Read(ParseResult result)
    {
        var usual = new ScaleOptions { Prefill = result.GetValue(_prefill), Decode = result.GetValue(_decode) };
        return usual is { Prefill: null, Decode: null } ? null : usual with
        {
            Api = result.GetValue(_api) ?? usual.Api,
            Namespace = result.GetValue(_namespace),
            AccountFolder = result.GetValue(_account) ?? usual.AccountFolder,
        };
    }

    private static Option<ScaleTarget?> Target(string name) => new(name)
    {
        Description = "StatefulSet of Kubernetes whose replicas the cluster sets, between two bounds.",
        HelpName = "NAME:MIN:MAX",
        CustomParser = result =>
        {
            if (ScaleTarget.Parse(result.Tokens[0].Value) is { } target) return target;
            result.AddError($"{name} is '{result.Tokens[0].Value}'; it must be NAME:MIN:MAX, as krewe-decode:1:8.");
            return null;
        },
    };
}
