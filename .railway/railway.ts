// The Railway project: how the service is built, deployed and watched. Railway does not read this
// file during a deploy: `railway config plan` shows what it would change, `railway config apply`
// puts it on the service, and the deploys after that use it. docs/railway.md goes step by step.
import { defineRailway, github, postgres, preserve, project, service } from "railway/iac";

export default defineRailway(() => {
  const database = postgres("Postgres");

  const api = service("signalbook", {
    // Put your own repository here.
    source: github("your-name/signalbook", { branch: "main" }),
    build: { builder: "DOCKERFILE", dockerfilePath: "Dockerfile" },
    // No start command: the image's CMD, in exec form, so that SIGTERM reaches python.
    deploy: {
      // The release gate, in a container of its own before the new version starts: any exit but 0
      // leaves the old one serving (docs/migrations.md says what each asks for).
      preDeployCommand: ["python -m app release"],
      // 200 only when the database answers and its schema is what the code needs.
      healthcheckPath: "/health",
      healthcheckTimeout: 120,
      // Both versions serve for a while, so that no request meets a closed door …
      overlapSeconds: 15,
      // … then the old one gets SIGTERM and this long to finish: more than its DRAIN of 20, and the
      // 5 in which it closes its database connections.
      drainingSeconds: 35,
      restartPolicyType: "ON_FAILURE",
      restartPolicyMaxRetries: 10,
    },
    env: {
      ENVIRONMENT: "production",
      // Both address families: networks that Railway made before 2025-10-16 have IPv6 only.
      HOST: "::",
      // The edge, and where it names the client.
      TRUSTED_PROXIES: "100.64.0.0/10",
      PROXY_HEADER: "x-real-ip",
      // The private address, which costs nothing and does not leave the network.
      DATABASE_URL: database.env.DATABASE_URL,
      // The domain that Railway shows for the service. Name further ones here, with commas between.
      ALLOWED_HOSTS: "${{RAILWAY_PUBLIC_DOMAIN}}",
      // Set by hand in the dashboard, and kept as they are there.
      ACCESS_TOKEN: preserve(),
      OPERATOR_TOKEN: preserve(),
      CORS_ORIGINS: preserve(),
    },
  });

  return project("signalbook", { resources: [database, api] });
});
