// Metro for {{name}} (Expo SDK {{version}}).
const { getDefaultConfig } = require('expo/metro-config');

/** @type {import('expo/metro-config').MetroConfig} */
const config = getDefaultConfig(__dirname);

// Further kinds of files that the app imports as assets:
// config.resolver.assetExts.push('db');

module.exports = config;
